"""The fleet over a bus that is played: every server has its reply, and what Salt thinks of it does not matter."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from saltlick.fleet.ports import Call
from saltlick.salt_io.client import MinionReturn, NotPublishedError, Published, parse
from saltlick.salt_io.fleet import PING, FleetTimeouts, SaltFleet, grouped
from saltlick.salt_io.replies import reply_of, why
from saltlick.salt_io.signed import NotBelieved, ReplyCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

UP = Call("service.start", ("varnish",))


@dataclass
class Minion:
    """How one minion behaves: after how many seconds it answers a job and a ping; None: never."""

    answers_s: float | None = 0.1
    pings_s: float | None = 0.1
    content: Mapping[str, Any] = field(default_factory=lambda: {"return": True, "retcode": 0, "success": True})
    heard: bool = True
    """Whether its return is on the bus; else it is in the job cache only."""


class Trusting:
    """Believes everybody: for what is not about who speaks."""

    def asking(self, call: Call) -> Call:
        return call

    def signs(self, call: Call) -> bool:
        return True

    def believed(self, server: str, jid: str, call: Call, content: Mapping[str, Any]) -> Mapping[str, Any]:
        return content


TRUSTING = Trusting()


@dataclass
class Bus:
    """A played bus with a clock of its own."""

    minions: dict[str, Minion]
    time_s: float = 0.0
    published: list[tuple[tuple[str, ...], Call]] = field(default_factory=list)
    queue: list[tuple[float, MinionReturn]] = field(default_factory=list)
    cache: dict[str, dict[str, tuple[float, Mapping[str, Any]]]] = field(default_factory=dict)
    refuse: Callable[[Call], str] = lambda _: ""
    check: ReplyCheck = TRUSTING
    listening: bool = False

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds

    @contextlib.contextmanager
    def open(self) -> Iterator[Bus]:
        self.listening = True
        yield self
        self.listening = False

    def publish(self, servers: Sequence[str], call: Call) -> Published:
        assert self.listening, "published before it listened"
        if refusal := self.refuse(call):
            raise NotPublishedError(refusal)
        self.published.append((tuple(servers), call))
        jid = str(len(self.published))
        for name in servers:
            if (minion := self.minions.get(name)) is not None:
                self._play(jid, name, minion, call)
        self.queue.sort(key=lambda waiting: -waiting[0])
        return Published(jid, frozenset(servers) & self.minions.keys())

    def _play(self, jid: str, name: str, minion: Minion, call: Call) -> None:
        after_s = minion.pings_s if call == PING else minion.answers_s
        if after_s is None:
            return
        content = {"return": True, "retcode": 0, "success": True} if call == PING else minion.content
        self.cache.setdefault(jid, {})[name] = (self.time_s + after_s, content)
        if minion.heard:
            self.queue.append((self.time_s + after_s, MinionReturn(jid, name, content)))

    def next_return(self, wait_s: float) -> MinionReturn | None:
        assert wait_s > 0
        if self.queue and self.queue[-1][0] <= self.time_s + wait_s:
            at, heard = self.queue.pop()
            self.time_s = max(self.time_s, at)
            return heard
        self.time_s += wait_s
        return None

    def cached_returns(self, jid: str) -> Mapping[str, Mapping[str, Any]]:
        return {name: content for name, (at, content) in self.cache.get(jid, {}).items() if at <= self.time_s}

    @property
    def fleet(self) -> SaltFleet:
        return SaltFleet(client=self, clock=self, check=self.check)


def bus(**minions: Minion) -> Bus:
    return Bus(dict(minions))


def test_one_job_for_the_same_call_and_one_for_each_other():
    there = bus(a=Minion(), b=Minion(), c=Minion())
    replies = there.fleet.run(
        {"a": UP, "c": Call("test.echo", ("c",)), "b": Call("service.start", ("varnish",))}, deadline_s=9
    )
    assert there.published == [(("a", "b"), UP), (("c",), Call("test.echo", ("c",)))]
    assert list(replies) == ["a", "c", "b"]
    assert all(reply.ok and reply.duration_ms == 100 for reply in replies.values())


def test_nothing_to_do_asks_nobody():
    assert bus().fleet.run({}, deadline_s=1) == {}


def test_a_dead_server_is_known_long_before_a_long_deadline():
    there = bus(a=Minion(answers_s=600), b=Minion(answers_s=None, pings_s=None))
    replies = there.fleet.run({"a": UP, "b": UP}, deadline_s=900)
    assert replies["a"].ok, "a busy one is waited for as long as it answers pings"
    assert not replies["b"].ok
    assert replies["b"].silent
    assert replies["b"].duration_ms == 25_000
    assert "nor to test.ping" in replies["b"].error


def test_the_masters_configuration_says_how_patient_it_is():
    there = bus(b=Minion(answers_s=None, pings_s=None))
    fleet = SaltFleet(
        client=there, clock=there, check=TRUSTING, timeouts=FleetTimeouts.of({"saltlick_silent_after_s": 8})
    )
    assert fleet.run({"b": UP}, deadline_s=900)["b"].duration_ms == 10_000
    assert FleetTimeouts.of({}) == FleetTimeouts.of({"saltlick_silent_after_s": "long"}) == FleetTimeouts()


def test_a_server_that_was_silent_is_waited_for_less_until_it_is_back():
    there = bus(a=Minion(), b=Minion(answers_s=None, pings_s=None))
    fleet = there.fleet
    first = fleet.run({"a": UP, "b": UP}, deadline_s=900)["b"]
    again = fleet.run({"a": UP, "b": UP}, deadline_s=900)["b"]
    assert again.silent
    assert again.duration_ms < 11_000 < first.duration_ms
    there.minions["b"] = Minion(answers_s=60, pings_s=2)
    assert fleet.run({"b": UP}, deadline_s=900)["b"].ok
    there.minions["b"] = Minion(answers_s=60, pings_s=15)
    assert fleet.run({"b": UP}, deadline_s=900)["b"].ok, "it is trusted again"


def test_a_loaded_server_that_is_slow_to_answer_pings_is_not_taken_for_dead():
    there = bus(a=Minion(answers_s=120, pings_s=15))
    assert there.fleet.run({"a": UP}, deadline_s=900)["a"].ok


def test_the_deadline_ends_the_wait_for_a_server_that_is_alive():
    there = bus(a=Minion(answers_s=None))
    reply = there.fleet.run({"a": UP}, deadline_s=60)["a"]
    assert there.time_s == pytest.approx(60)
    assert reply.silent
    assert (
        reply.error
        == "service.start: no answer in 60 s, though its minion answers to test.ping: the job may still run there"
    )


def test_a_short_deadline_asks_no_pings():
    there = bus(a=Minion(answers_s=None, pings_s=None))
    assert there.fleet.run({"a": UP}, deadline_s=3)["a"].error == "service.start: no answer in 3 s"
    assert len(there.published) == 1


def test_a_return_that_the_bus_lost_is_found_in_the_job_cache():
    there = bus(a=Minion(heard=False, answers_s=0.5))
    reply = there.fleet.run({"a": UP}, deadline_s=900)["a"]
    assert reply.ok
    assert there.time_s <= 6


def test_a_server_without_an_accepted_key_is_told_at_once():
    there = bus(a=Minion())
    replies = there.fleet.run({"a": UP, "ghost": UP}, deadline_s=900)
    assert replies["a"].ok
    assert replies["ghost"].silent
    assert "no accepted key" in replies["ghost"].error
    assert there.time_s < 1


def test_a_master_that_takes_no_jobs_fails_them_with_its_reason_and_keeps_the_others():
    there = bus(a=Minion(), b=Minion())
    there.refuse = lambda call: "the master did not take the job: it is busy" if call == UP else ""
    replies = there.fleet.run({"a": UP, "b": Call("test.true")}, deadline_s=9)
    assert replies["a"].error == "the master did not take the job: it is busy"
    assert replies["b"].ok


def test_without_a_master_every_server_has_its_reply():
    class NoBus(Bus):
        @contextlib.contextmanager
        def open(self):
            raise NotPublishedError("is salt-master running here?")
            yield

    replies = SaltFleet(client=NoBus({}), clock=NoBus({}), check=TRUSTING).run({"a": UP, "b": UP}, deadline_s=9)
    assert [reply.error for reply in replies.values()] == ["is salt-master running here?"] * 2


def test_a_master_that_restarts_meanwhile_blames_nobody():
    there = bus(a=Minion(answers_s=200))
    there.refuse = lambda call: "restarting" if call == PING and there.time_s < 100 else ""
    assert there.fleet.run({"a": UP}, deadline_s=900)["a"].ok


def test_an_argument_that_salt_would_misread_never_leaves():
    there = bus(a=Minion(), b=Minion())
    replies = there.fleet.run(
        {"a": Call("cmd.run", ("A=1 make",)), "b": Call("cmd.run", kwargs={"cmd": "A=1 make"})}, deadline_s=9
    )
    assert "for an argument named A: write it by its name" in replies["a"].error
    assert not replies["a"].silent
    assert replies["b"].ok
    assert len(there.published) == 1


def test_a_second_return_and_those_of_other_jobs_change_nothing():
    there = bus(a=Minion())
    there.queue = [
        (0.2, MinionReturn("1", "a", {"return": "again", "retcode": 1})),
        (0.05, MinionReturn("99", "a", {"return": "x"})),
    ]
    assert there.fleet.run({"a": UP}, deadline_s=9)["a"].value is True


class OnlySigned(Trusting):
    """Believes what has a mark."""

    def believed(self, server: str, jid: str, call: Call, content: Mapping[str, Any]) -> Mapping[str, Any]:
        if not content.get("mark"):
            raise NotBelieved("it is not signed")
        return content


def test_an_answer_in_a_servers_name_is_not_its_own():
    true = {"return": "true", "retcode": 0, "success": True, "mark": 1}
    there = Bus({"a": Minion(answers_s=5, content=true)}, check=OnlySigned())
    there.queue = [(0.05, MinionReturn("1", "a", {"return": "a lie", "retcode": 0, "success": True}))]
    assert there.fleet.run({"a": UP}, deadline_s=9)["a"].value == "true"


def test_a_server_in_whose_name_others_answer_is_silent_and_that_is_told():
    there = Bus({"a": Minion(answers_s=1, content={"return": "a lie"}, pings_s=None)}, check=OnlySigned())
    reply = there.fleet.run({"a": UP}, deadline_s=3)["a"]
    assert (reply.ok, reply.silent) == (False, True)
    assert reply.error == "service.start: no answer in 3 s; what came in its name was refused: it is not signed"


def test_two_different_answers_of_one_server_are_none():
    there = bus(a=Minion(), b=Minion(answers_s=2))
    there.queue = [(0.5, MinionReturn("1", "a", {"return": False, "retcode": 0, "success": True}))]
    replies = there.fleet.run({"a": UP, "b": UP}, deadline_s=9)
    assert replies["a"].error == "service.start: a gave two different answers to one question: look at that server"
    assert replies["b"].ok


def test_a_thousand_servers_take_one_job_and_time_that_grows_with_their_number():
    names = [f"prod-app-{number}" for number in range(1000)]
    there = Bus({name: Minion() for name in names})
    began = time.perf_counter()
    replies = there.fleet.run(dict.fromkeys(names, UP), deadline_s=60)
    assert all(reply.ok for reply in replies.values())
    assert len(there.published) == 1
    assert time.perf_counter() - began < 2


def test_kwargs_in_another_order_are_the_same_call():
    one, two = Call("f", (), {"a": 1, "b": 2}), Call("f", (), {"b": 2, "a": 1})
    assert len(grouped({"x": one, "y": two})) == 1


TRACEBACK = (
    'The minion function caused an exception: Traceback (most recent call last):\n  File "x", line 1\nOSError: gone\n'
)


@pytest.mark.parametrize(
    ("value", "retcode", "said"),
    [
        ("ERROR: no such unit\nvarnish", 1, "f.g: no such unit varnish"),
        (TRACEBACK, 1, "f.g: OSError: gone"),
        ("'f.g' is not available.", 254, "'f.g' is not available."),
        ({"f.other": "manual", "f.g": "'f.g' is not available."}, 1, "'f.g' is not available."),
        ("Passed invalid arguments to f.g: x\n\n manual", 1, "Passed invalid arguments to f.g: x"),
        ("making\n\nError 2\n", 2, "f.g: exit code 2: Error 2"),
        ({"pid": 1, "retcode": 3, "stdout": "a", "stderr": "b\nbad"}, 3, "f.g: exit code 3: bad"),
        ({"result": False, "comment": "not that\nnor this"}, 1, "f.g: nor this"),
        (None, 1, "f.g: exit code 1, and no word"),
    ],
)
def test_why_a_call_failed_is_one_sentence(value, retcode, said):
    assert why("f.g", value, retcode) == said


@pytest.mark.parametrize(
    ("content", "ok"),
    [
        ({"return": True, "retcode": 0, "success": True}, True),
        ({"return": True}, True),
        ({"return": "x", "retcode": 0, "success": False}, False),
        ({"return": "x", "retcode": 2, "success": True}, False),
    ],
)
def test_a_return_is_judged_by_its_codes(content, ok):
    assert reply_of("f.g", content, 1).ok is ok


@pytest.mark.parametrize("tag", ["salt/job/1/new", "salt/job/1/prog/a/0", "salt/auth"])
def test_only_returns_are_returns(tag):
    assert parse({"tag": tag, "data": {}}) is None
    content = {"return": 1, "id": "a", "jid": "1"}
    assert parse({"tag": "salt/job/1/ret/a", "data": content}) == MinionReturn("1", "a", content)


@pytest.mark.parametrize(
    "content", [{"return": 1, "id": "b"}, {"return": 1}, {"return": 1, "id": "a", "jid": "2"}, "text", None, [1]]
)
def test_a_return_of_another_sender_is_none(content):
    assert parse({"tag": "salt/job/1/ret/a", "data": content}) is None
