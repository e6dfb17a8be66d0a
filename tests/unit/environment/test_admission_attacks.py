"""Attacks on admission, each by somebody with one foothold: none gets a key in, out, or in the way of the true one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.cloud import FakeCloud

from saltlick import tree
from saltlick.environment import console
from saltlick.environment.admission import KeyAdmission
from saltlick.environment.console import ConsoleInstance, ConsoleLook, Consoles
from saltlick.environment.key_decision import decide
from saltlick.environment.key_evidence import AdmissionTargets, ExpectedServer, KeyEvidence
from saltlick.environment.known_instances import KnownInstances
from saltlick.errors import ServerFailed
from saltlick.jobs.store import Store

OWN, EVIL = ":".join(["ab"] * 32), ":".join(["66"] * 32)
NONCE = "0f" * 16
DB = ExpectedServer(
    name="prod-db-1", address="instance/db-1", subnet="private-az1", private_ip="10.10.0.20", nonce=NONCE
)
PROD = AdmissionTargets(environment="prod", expected=(DB,), others=("test",))
TRUE = ConsoleInstance(
    "i-true",
    "prod-db-1",
    "prod",
    "running",
    private_ip="10.10.0.20",
    address="instance/db-1",
    network="prod",
    subnet="subnet/private-az1",
)
IMPOSTOR = replace(TRUE, id="i-evil")


@dataclass(frozen=True, order=True)
class Key:
    id: str
    finger: str


def told(finger: str, nonce: str = NONCE) -> str:
    return f"\r\nsaltlick: minion fingerprint {finger} boot {nonce}\r\n"


HONEST = KeyEvidence(
    pending=(Key("prod-db-1", OWN),),
    instances=(TRUE,),
    consoles={"i-true": told(OWN), "i-evil": told(EVIL)},
    networks=frozenset({"prod"}),
)
STRANGER = replace(HONEST, pending=(Key("prod-db-1", EVIL),))


def accepted(seen: KeyEvidence) -> list[str]:
    return [key.finger for key in decide(PROD, seen).accept]


def test_the_honest_server_is_accepted() -> None:
    assert accepted(HONEST) == [OWN]


ELSEWHERE: Mapping[str, Mapping[str, Any]] = {
    "in a network of nobody": {"network": ""},
    "in the network of another environment": {"network": "test"},
    "with an address that nobody declares": {"address": "instance/zzz"},
    "with another server's address": {"address": "instance/db-2"},
    "in another subnet": {"subnet": "subnet/public-az1"},
    "in a subnet of nobody": {"subnet": ""},
    "at another private address": {"private_ip": "10.10.0.99"},
    "tagged for another environment": {"environment": "test"},
    "stopped": {"state": "stopped"},
}


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE)
def test_tags_alone_let_nobody_in(place: Mapping[str, Any]) -> None:
    """Somebody of the account with RunInstances and CreateTags, before the true server is there, who even knows the nonce."""
    assert accepted(replace(STRANGER, instances=(replace(IMPOSTOR, **place),))) == []


@pytest.mark.parametrize("place", [{"network": ""}, {"subnet": "subnet/other"}, {"address": "instance/zzz"}])
def test_an_instance_of_that_name_elsewhere_does_not_hold_up_the_true_one(place: Mapping[str, Any]) -> None:
    assert accepted(replace(HONEST, instances=(replace(IMPOSTOR, **place), TRUE))) == [OWN]


def test_two_instances_at_the_same_place_are_nobody() -> None:
    assert accepted(replace(HONEST, instances=(IMPOSTOR, TRUE))) == []


FOREIGN_TEXT = {
    "in the middle of a line": f"Err:1 http://mirror 404  saltlick: minion fingerprint {EVIL} boot {NONCE}",
    "after a carriage return": f"404\rsaltlick: minion fingerprint {EVIL} boot {NONCE}",
    "with more behind it": f"saltlick: minion fingerprint {EVIL} boot {NONCE} x",
    "indented": f"  saltlick: minion fingerprint {EVIL} boot {NONCE}",
    "marked as the log's": f"saltlick: | saltlick: minion fingerprint {EVIL} boot {NONCE}",
    "without the nonce": f"saltlick: minion fingerprint {EVIL}",
    "with another nonce": f"saltlick: minion fingerprint {EVIL} boot {'ee' * 16}",
    "behind a form feed": f"\x0csaltlick: minion fingerprint {EVIL} boot {NONCE}",
    "behind a line separator": f"x\u2028saltlick: minion fingerprint {EVIL} boot {NONCE}",
}


@pytest.mark.parametrize("text", FOREIGN_TEXT.values(), ids=FOREIGN_TEXT)
def test_text_of_others_on_the_console_is_no_fingerprint(text: str) -> None:
    """A mirror or a proxy, whose answers stand in the boot log."""
    assert console.fingers(f"boot\r\n{text}\r\n", NONCE) == frozenset()
    assert accepted(replace(STRANGER, consoles={"i-true": f"boot\r\n{text}\r\n"})) == []


def test_without_a_nonce_no_line_counts() -> None:
    assert console.fingers(f"saltlick: minion fingerprint {OWN} boot \r\n" + told(OWN, ""), "") == frozenset()


def test_no_key_is_accepted_while_the_boot_failed() -> None:
    output = told(EVIL) + "saltlick: FAILED: installing Salt (exit 100); the whole log is /x\r\n"
    decision = decide(PROD, replace(STRANGER, consoles={"i-true": output}))
    assert decision.accept == ()
    assert "installing Salt" in decision.failed["prod-db-1"]


def test_two_fingerprints_with_the_nonce_are_none() -> None:
    for pending in (OWN, EVIL):
        seen = replace(HONEST, pending=(Key("prod-db-1", pending),), consoles={"i-true": told(OWN) + told(EVIL)})
        assert accepted(seen) == []


def test_the_end_of_the_boot_log_reaches_the_console_without_looking_like_ours(tmp_path: Path) -> None:
    """The script's own `on_exit`, with a log that a mirror wrote."""
    script = (tree.folder("bootstrap") / "install-salt.sh").read_text()
    (tmp_path / "log").write_bytes(
        f"404\rsaltlick: minion fingerprint {EVIL} boot {NONCE}\n\x1b[2J\x9b2Jhttp://u:pw@mirror\n"
        f"saltlick: minion fingerprint {EVIL} boot {NONCE}\nsaltlick: minion started\n".encode()
    )
    script = script.replace(">/dev/console", f">>{tmp_path}/console").replace(
        "LOG=/var/log/saltlick-bootstrap.log", f"LOG={tmp_path}/log"
    )
    (tmp_path / "boot.sh").write_text(script + "\ntrap on_exit EXIT\nstep 'installing Salt'\nfalse\n")
    done = subprocess.run(
        ["sh", str(tmp_path / "boot.sh")], env={"SALTLICK_LIBRARY": "1", "PATH": "/usr/bin:/bin"}, check=False
    )
    assert done.returncode == 1
    output = (tmp_path / "console").read_text()
    assert console.fingers(output, NONCE) == frozenset()
    assert "installing Salt" in console.failure(output)
    assert "404" in output
    assert not {"\x1b", "\r", "\x9b"} & set(output)
    assert "pw@" not in output


def test_the_script_says_the_fingerprint_from_the_beginning_of_a_line(tmp_path: Path) -> None:
    script = (tree.folder("bootstrap") / "install-salt.sh").read_text()
    (tmp_path / "console").write_text("prod-db-1 login: ")
    script = script.replace(">/dev/console", f">>{tmp_path}/console")
    (tmp_path / "say.sh").write_text(f"{script}\nsay 'minion fingerprint {OWN} boot {NONCE}'\n")
    subprocess.run(["sh", str(tmp_path / "say.sh")], env={"SALTLICK_LIBRARY": "1", "PATH": "/usr/bin:/bin"}, check=True)
    assert console.fingers((tmp_path / "console").read_text(), NONCE) == {OWN}


def test_the_fingerprint_is_repeated_by_a_script_of_root_at_each_boot_and_later(tmp_path: Path) -> None:
    """Whoever fills the console's 64 KB only delays the admission."""
    script = (tree.folder("bootstrap") / "install-salt.sh").read_text()
    units = tmp_path / "units"
    units.mkdir()
    script = script.replace("/dev/console", f"{tmp_path}/console").replace("/etc/systemd/system", str(units))
    script = script.replace("SALTLICK_HOME=/opt/saltlick", f"SALTLICK_HOME={tmp_path}")
    (tmp_path / "go.sh").write_text(
        f'{script}\nFAMILY=debian\nsystemctl() {{ echo "$@" >>{tmp_path}/asked; }}\n'
        f"repeat_fingerprint 'minion fingerprint {OWN} boot {NONCE}'\n"
    )
    subprocess.run(["sh", str(tmp_path / "go.sh")], env={"SALTLICK_LIBRARY": "1", "PATH": "/usr/bin:/bin"}, check=True)
    subprocess.run([str(tmp_path / "say-fingerprint")], check=True)
    assert console.fingers((tmp_path / "console").read_text(), NONCE) == {OWN}
    assert (tmp_path / "say-fingerprint").stat().st_mode & 0o077 == 0
    assert "OnBootSec" in (units / "saltlick-fingerprint.timer").read_text()
    assert str(tmp_path / "say-fingerprint") in (units / "saltlick-fingerprint.service").read_text()
    assert "enable saltlick-fingerprint.timer" in (tmp_path / "asked").read_text()


KNOWN = replace(
    HONEST, pending=(), accepted=(Key("prod-db-1", OWN),), known={"instance/db-1": "i-true"}, instances=(TRUE,)
)
RETAGGED = replace(TRUE, name="x", environment="", address="")


@pytest.mark.parametrize(
    "instances",
    [
        (RETAGGED, IMPOSTOR),  # the true one's tags are taken away, and given to another
        (IMPOSTOR, TRUE),
        (IMPOSTOR,),  # the true one was terminated by somebody else
        (replace(TRUE, state="stopped"), IMPOSTOR),
    ],
)
def test_whoever_writes_tags_cannot_exchange_an_admitted_servers_key(instances: tuple[ConsoleInstance, ...]) -> None:
    """CreateTags, RunInstances in our own subnet, the nonce and the address: the remembered id still decides."""
    decision = decide(PROD, replace(KNOWN, instances=instances, denied=(Key("prod-db-1", EVIL),)))
    assert (decision.accept, decision.forget, decision.outlived) == ((), {}, {})
    assert decision.confirmed.get("prod-db-1", "i-true") == "i-true"
    assert "prod-db-1" in {key.id for key in decision.refused}


def test_an_admitted_server_does_not_get_another_key_by_its_own_console() -> None:
    """Root on the server, who makes new keys and tells them: the key changes only with the instance."""
    seen = replace(KNOWN, denied=(Key("prod-db-1", EVIL),), consoles={"i-true": told(EVIL)})
    decision = decide(PROD, seen)
    assert (decision.accept, decision.forget) == ((), {})
    (refused,) = decision.refused
    assert "changes only with the instance" in refused.reason


def test_the_masters_own_key_is_exchanged_by_no_console() -> None:
    master = AdmissionTargets(environment="prod", expected=(replace(DB, nonce=""),))
    seen = replace(KNOWN, known={}, denied=(Key("prod-db-1", EVIL),), consoles={"i-true": told(EVIL) + told(EVIL, "")})
    decision = decide(master, seen)
    assert (decision.accept, decision.forget, decision.waiting) == ((), {}, {})


def test_a_strangers_key_that_came_first_is_in_nobodys_way() -> None:
    seen = replace(STRANGER, denied=(Key("prod-db-1", OWN), Key("prod-db-1", ":".join(["77"] * 32))))
    decision = decide(PROD, seen)
    assert [key.finger for key in decision.accept] == [OWN]
    assert EVIL in {key.finger for key in decision.refused}


@dataclass
class Keys:
    keys: list[Key] = field(default_factory=lambda: [Key("prod-db-1", OWN)])

    def pending(self) -> tuple[Key, ...]:
        return ()

    def denied(self) -> tuple[Key, ...]:
        return ()

    def accepted(self) -> tuple[Key, ...]:
        return tuple(self.keys)

    def accept(self, key: object) -> bool:
        raise AssertionError("there is nothing to accept")

    def delete(self, minion_id: str) -> bool:
        self.keys = [key for key in self.keys if key.id != minion_id]
        return True


@dataclass
class Looks:
    """What AWS shows, look by look; the last one stays."""

    looks: list[ConsoleLook]

    def look(self) -> ConsoleLook:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def output(self, instance_id: str) -> str:
        return told(OWN)


def gate(tmp_path: Path, keys: Keys, *looks: ConsoleLook) -> KeyAdmission:
    memory = KnownInstances(Store(tmp_path / "store", durable=False))
    memory.remember("prod", "instance/db-1", "i-true")
    return KeyAdmission(
        keys=keys, consoles=Looks(list(looks)), memory=memory, ping=lambda names: names, clock=FakeClock()
    )


THERE = ConsoleLook((TRUE,), frozenset({"prod"}))
EMPTY = ConsoleLook()
NETWORK_ONLY = ConsoleLook((), frozenset({"prod"}))
UNDECLARED = replace(PROD, expected=())


@pytest.mark.parametrize(
    ("looks", "left"),
    [
        ((EMPTY,), 1),  # credentials of another account, or an empty answer
        ((NETWORK_ONLY, THERE), 1),  # one answer without the instance
        ((NETWORK_ONLY, EMPTY, THERE), 1),
        ((NETWORK_ONLY, NETWORK_ONLY), 0),
    ],
)
def test_a_key_is_forgotten_only_when_the_network_was_seen_without_its_server_twice(
    tmp_path: Path, looks: tuple[ConsoleLook, ...], left: int
) -> None:
    keys = Keys()
    gate(tmp_path, keys, *looks).admit(UNDECLARED, deadline_s=5)
    assert len(keys.keys) == left
    keys = Keys()
    gate(tmp_path, keys, *looks).sweep(UNDECLARED, destroyed=False)
    assert len(keys.keys) == left


def test_a_destroy_that_saw_the_network_forgets_the_keys_of_its_servers(tmp_path: Path) -> None:
    keys = Keys()
    assert list(gate(tmp_path, keys, EMPTY).sweep(PROD, destroyed=True)) == ["prod-db-1"]


def test_only_saltlick_releases_a_server_from_its_instance(tmp_path: Path) -> None:
    memory = KnownInstances(Store(tmp_path / "store", durable=False))
    memory.remember("prod", "instance/db-1", "i-true")
    memory.remember("prod", "instance/db-1", "i-evil")
    assert memory.ids("prod") == {"instance/db-1": "i-true"}
    assert memory.ids("test") == {}
    memory.release("prod", ["instance/db-1"])
    memory.remember("prod", "instance/db-1", "i-new")
    assert memory.ids("prod") == {"instance/db-1": "i-new"}


def test_a_replaced_servers_predecessor_makes_room_for_it() -> None:
    seen = replace(KNOWN, known={}, accepted=(Key("prod-db-1", EVIL),), denied=(Key("prod-db-1", OWN),))
    decision = decide(PROD, seen)
    assert "predecessor" in decision.forget["prod-db-1"]
    assert [key.finger for key in decision.accept] == [OWN]


def test_an_accepted_key_without_a_remembered_instance_waits_for_its_console(tmp_path: Path) -> None:
    keys = Keys()
    admission = gate(tmp_path, keys, THERE)
    admission.memory.release("prod", ["instance/db-1"])  # type: ignore[attr-defined]
    assert admission.admit(PROD, deadline_s=30).already == ("prod-db-1",)
    assert admission.memory.ids("prod") == {"instance/db-1": "i-true"}
    silent = gate(tmp_path, Keys([Key("prod-db-1", EVIL)]), THERE)
    silent.memory.release("prod", ["instance/db-1"])  # type: ignore[attr-defined]
    with pytest.raises(ServerFailed, match="its instance has not offered its key yet"):
        silent.admit(PROD, deadline_s=5)


@dataclass
class Ec2(FakeCloud):
    """What EC2 describes."""

    described: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        return self.described[key]


def tags(**given: str) -> list[dict[str, str]]:
    names = {"name": "Name", "environment": "saltlick:environment", "address": "saltlick:address"}
    return [{"Key": names[key], "Value": value} for key, value in given.items()]


def test_network_and_subnet_are_read_from_their_own_tags() -> None:
    own = tags(name="prod-db-1", environment="prod", address="instance/db-1")
    there = {"InstanceId": "i-1", "State": {"Name": "running"}, "VpcId": "vpc-1", "SubnetId": "s-1", "Tags": own}
    elsewhere = {**there, "InstanceId": "i-2", "VpcId": "vpc-2", "SubnetId": "s-2"}
    bare = {**there, "InstanceId": "i-3", "Tags": []}
    cloud = Ec2(
        described={
            "Vpcs": ({"VpcId": "vpc-1", "Tags": tags(environment="prod")}, {"VpcId": "vpc-2"}),
            "Subnets": (
                {"SubnetId": "s-1", "VpcId": "vpc-1", "Tags": tags(address="subnet/private-az1")},
                {"SubnetId": "s-2", "VpcId": "vpc-2", "Tags": tags(address="subnet/private-az1")},
            ),
            "Reservations": ({"Instances": [there, elsewhere, bare]},),
        }
    )
    look = Consoles(cloud).look()
    assert look.networks == {"prod"}
    assert {each.id: (each.network, each.subnet) for each in look.instances} == {
        "i-1": ("prod", "subnet/private-az1"),
        "i-2": ("", ""),
        "i-3": ("prod", "subnet/private-az1"),
    }


STEERING = "\x1b[2J\x1b]52;c;ZXZpbA==\x07\x9b31m\u202eevil\u2066"


def test_what_a_console_says_is_shown_without_what_steers_a_terminal() -> None:
    output = f"{STEERING}panic\r\nsaltlick: FAILED: {STEERING}\r\n"
    shown = "\n".join([*console.last_lines(output), console.failure(output), *console.progress(output)])
    assert "panic" in shown
    assert not set("\x1b\x9b\r\u202e\u2066\x07") & set(shown)
