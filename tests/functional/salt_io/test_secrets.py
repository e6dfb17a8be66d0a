"""Secrets of steps: looked up when a call leaves, and in nothing that anybody reads afterwards."""

from __future__ import annotations

import pytest
from support.fleet import FakeFleet

from saltlick.fleet.ports import Call, Reply
from saltlick.salt_io.secrets import SecretResolvingFleet

ADDRESS, SECRET = "sdb://vault/SALTLICK_TEST_TOKEN", "hunter2=x"


class Servers(FakeFleet):
    """Answers with the arguments of the call, or fails with them."""

    def answer(self, server: str, call: Call) -> Reply:
        bad = call.function == "app.fails"
        return Reply(not bad, {"said": [*call.args]}, error=f"{call.kwargs} is no token" if bad else "")


@pytest.fixture
def servers():
    return Servers()


@pytest.fixture
def fleet(master, servers, monkeypatch):
    monkeypatch.setenv("SALTLICK_TEST_TOKEN", SECRET)
    return SecretResolvingFleet(servers, {**master.opts, "vault": {"driver": "env"}})


def test_the_server_has_the_secret_and_the_reply_the_address(fleet, servers):
    detached = Call("app.fails", ("id",), {"args": [ADDRESS], "kwargs": {"env": {"TOKEN": ADDRESS}}})
    replies = fleet.run({"one": Call("app.login", (ADDRESS, 7)), "two": detached}, deadline_s=5)
    assert servers.calls[0][1].args == (SECRET, 7)
    assert servers.calls[1][1].kwargs == {"args": [SECRET], "kwargs": {"env": {"TOKEN": SECRET}}}
    assert replies["one"].value == {"said": [ADDRESS, 7]}
    assert replies["two"].error.endswith("is no token")
    assert SECRET not in str(replies)


def test_what_comes_later_has_no_secret_either(fleet):
    fleet.run({"one": Call("app.login", (ADDRESS,))}, deadline_s=5)
    assert SECRET not in str(fleet.run({"one": Call("detached.status", (SECRET,))}, deadline_s=5))


def test_a_secret_that_is_a_part_of_another_leaves_no_rest_of_it(fleet, monkeypatch):
    monkeypatch.setenv("SALTLICK_TEST_LONGER", SECRET + SECRET)
    fleet.run({"one": Call("app.login", (ADDRESS, "sdb://vault/SALTLICK_TEST_LONGER"))}, deadline_s=5)
    replies = fleet.run({"one": Call("detached.status", (SECRET + SECRET,))}, deadline_s=5)
    assert replies["one"].value == {"said": ["sdb://vault/SALTLICK_TEST_LONGER"]}


@pytest.mark.parametrize("address", ["sdb://vault/NOT_THERE", "sdb://nowhere/token", "sdb://vault"])
def test_a_call_whose_secret_is_not_there_is_not_made(fleet, servers, address):
    replies = fleet.run({"one": Call("app.login", (address,)), "two": Call("app.login")}, deadline_s=5)
    assert replies["one"].error == f"app.login: the master finds nothing at {address}"
    assert replies["two"].ok
    assert len(servers.calls) == 1


def test_a_function_that_wants_the_address_has_it(fleet, servers):
    fleet.run({"one": Call("sdb.get", (ADDRESS,))}, deadline_s=5)
    assert servers.calls[0][1].args == (ADDRESS,)
