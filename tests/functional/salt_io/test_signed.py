"""Replies are believed if the server's own key signed exactly them; secrets open with the server's own key alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa
from salt.exceptions import CommandExecutionError
from support import minion_modules

from saltlick.fleet.ports import Call
from saltlick.salt_io.secrets import sealed
from saltlick.salt_io.signed import NotBelieved, SignedReplies, accepted_key

JID = "20261128000000000000"
ECHO = Call("test.echo", ("x",))


class Server:
    """A minion with a key of its own, which the master accepted."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, pki = name, folder / name / "pki"
        pki.mkdir(parents=True)
        (folder / "minions").mkdir(exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, form.NoEncryption())
        (pki / "minion.pem").write_bytes(pem)
        public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        (folder / "minions" / name).write_bytes(public)
        self._folder, self._opts = folder / name, {"id": name, "pki_dir": str(pki)}

    def run(self, call: Call, jid: str = JID, **more: Any) -> dict[str, Any]:
        """As Salt returns it. Two loaders of one process share modules, so each run has a fresh one."""
        functions = minion_modules.modules(self._folder, "saltlick_call", "test", "cmd", "odd", **self._opts)
        kwargs = {"args": list(call.args), "kwargs": dict(call.kwargs), **more}
        return {"return": functions["saltlick_call.run"](call.function, **kwargs, __pub_jid=jid)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="module")
def one(folder: Path) -> Server:
    return Server(folder, "prod-db-1")


@pytest.fixture(scope="module")
def other(folder: Path) -> Server:
    return Server(folder, "test-app-1")


@pytest.fixture
def check(folder: Path) -> SignedReplies:
    return SignedReplies({"pki_dir": str(folder)})


def test_what_a_server_signed_is_believed(check, one):
    assert check.believed("prod-db-1", JID, ECHO, one.run(ECHO)) == {"return": "x", "retcode": 0, "success": True}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (Call("test.exception", ("gone",)), "caused an exception"),
        (Call("not.there"), "'not.there' is not available."),
        (Call("test.echo"), "Passed invalid arguments to test.echo"),
        (Call("cmd.run", ("x",), {"runas": "not-there"}), "ERROR: User"),
    ],
)
def test_a_failure_is_signed_as_salt_tells_it(check, one, call, text):
    said = check.believed("prod-db-1", JID, call, one.run(call))
    assert (said["retcode"], said["success"]) == (1, False)
    assert text in said["return"]


def test_a_value_that_is_no_json_arrives_as_text(check, one):
    value = {1: (b"\xffx", {"a"}), "deep": [None, 1.5, True]}
    call = Call("test.echo", kwargs={"text": value})
    assert check.believed("prod-db-1", JID, call, one.run(call))["return"] == {
        "1": ["\ufffdx", ["a"]],
        "deep": [None, 1.5, True],
    }


def test_neither_another_key_nor_another_question_nor_a_change_is_believed(check, one, other):
    true = one.run(ECHO)
    changed = {"return": {**true["return"], "signed": true["return"]["signed"].replace('"x"', '"y"')}}
    lies = [
        ("prod-db-1", JID, ECHO, other.run(ECHO), "signature is not by the key"),
        ("prod-db-1", JID, ECHO, changed, "signature is not by the key"),
        ("test-app-1", JID, ECHO, true, "signature is not by the key"),
        ("prod-db-1", "20261128000000000001", ECHO, true, "an answer to another call"),
        ("prod-db-1", JID, Call("backup.verify"), true, "an answer to another call"),
        ("nobody", JID, ECHO, true, "cannot be read"),
        ("../minions/prod-db-1", JID, ECHO, true, "none of a server"),
    ]
    for server, jid, call, content, why in lies:
        with pytest.raises(NotBelieved, match=why):
            check.believed(server, jid, call, content)


@pytest.mark.parametrize(
    "garbage", [None, "text", 1, [], {}, {"signed": 1, "signature": 2}, {"signed": "x", "signature": "?"}]
)
def test_garbage_is_not_believed(check, one, garbage):
    with pytest.raises(NotBelieved):
        check.believed("prod-db-1", JID, ECHO, {"return": garbage})


def test_a_server_without_the_module_is_told_what_to_do(check):
    with pytest.raises(NotBelieved, match=r"saltutil\.sync_modules"):
        check.believed("prod-db-1", JID, ECHO, {"return": "'saltlick_call.run' is not available."})


def test_a_secret_opens_on_its_server_alone_and_is_in_no_reply(folder, check, one, other):
    travelling = sealed(accepted_key(folder / "minions", "prod-db-1"), "sdb://vault/key", "hush")
    assert "hush" not in travelling
    call = Call(
        "cmd.run", kwargs={"cmd": 'echo "$A" | tr a-z A-Z; echo "$A"', "env": {"A": travelling}, "python_shell": True}
    )
    assert check.believed("prod-db-1", JID, call, one.run(call))["return"] == "HUSH\nsdb://vault/key"
    later = one.run(Call("test.echo", ("it was hush",)), hide=[travelling])
    assert json.loads(later["return"]["signed"])["return"] == "it was sdb://vault/key"
    with pytest.raises(CommandExecutionError, match="not encrypted to this minion's key"):
        other.run(call)


ODD = """
class Odd:
    def __init__(self, text):
        self.text = text
    def __str__(self):
        return self.text
def values(text):
    return {"bytes": text.encode(), "set": {text}, "object": Odd(text), "name of a mapping": {text: 1}}
"""


def test_no_kind_of_value_carries_a_secret(folder, check, one):
    modules = folder / "prod-db-1" / "extmods" / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    (modules / "odd.py").write_text(ODD)
    travelling = sealed(accepted_key(folder / "minions", "prod-db-1"), "sdb://vault/key", "hush")
    call = Call("odd.values", (travelling,))
    address = "sdb://vault/key"
    assert check.believed("prod-db-1", JID, call, one.run(call))["return"] == {
        "bytes": address, "set": [address], "object": address, "name of a mapping": {address: 1}
    }  # fmt: skip


def test_a_secret_that_is_a_part_of_another_leaves_no_rest_of_it(folder, check, one):
    key = accepted_key(folder / "minions", "prod-db-1")
    call = Call("test.echo", (sealed(key, "sdb://vault/longer", "hushhush"),))
    reply = one.run(call, hide=[sealed(key, "sdb://vault/part", "hush")])
    assert check.believed("prod-db-1", JID, call, reply)["return"] == "sdb://vault/longer"


def test_only_a_job_of_a_master_is_answered(one):
    with pytest.raises(CommandExecutionError, match="for calls of a master"):
        one.run(ECHO, jid="")
