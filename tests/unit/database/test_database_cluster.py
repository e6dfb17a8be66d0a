"""What is wrong with a database cluster, and what may be changed: from what its servers say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock

from saltlick.database import change, report
from saltlick.database.change import DatabaseContext
from saltlick.database.cluster import seen_cluster
from saltlick.database.records import PrimaryRecords
from saltlick.database.verdict import findings
from saltlick.errors import NotReady, ServerFailed
from saltlick.fleet.ports import Call, Reply
from saltlick.jobs.store import Store

ONE, TWO = "prod-db-1", "prod-db-2"
VOICES = {ONE: True, TWO: True, "salt-master": True}


def primary(*streams: str, sync: str = "sync", **more: Any) -> dict[str, Any]:
    sent = [{"name": name, "state": "streaming", "sync": sync, "lag": 0} for name in streams]
    return {
        "role": "primary",
        "seen": "pg_is_in_recovery() is f",
        "streams": sent,
        "receiving": False,
        **patroni(**more),
    }


def standby(receiving: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "role": "standby",
        "seen": "pg_is_in_recovery() is t",
        "streams": [],
        "receiving": receiving,
        **patroni(**more),
    }


def down(**more: Any) -> dict[str, Any]:
    return {"role": "down", "seen": "connection refused", "streams": [], "receiving": False, **patroni(**more)}


def patroni(
    managed: bool = True, answers: bool = True, paused: bool = False, voices: Mapping[str, bool] = VOICES
) -> dict[str, Any]:
    if not managed:
        return {"patroni": {}}
    return {"patroni": {"answers": answers, "why": "" if answers else "refused", "paused": paused, "voices": voices}}


SILENT = Reply(False, error="no answer within 30 s", silent=True)


@dataclass
class Servers:
    """Servers that answer `database.status` with their state; any other call changes it by `effect`."""

    states: dict[str, dict[str, Any] | Reply]
    effect: Callable[[Servers, str, Call], Reply] = lambda *_: Reply(False, error="not expected")
    calls: list[tuple[str, str]] = field(default_factory=list)

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> dict[str, Reply]:
        return {server: self._answer(server, call) for server, call in calls.items()}

    def _answer(self, server: str, call: Call) -> Reply:
        state = self.states[server]
        if isinstance(state, Reply):
            return state
        if call.function == "database.status":
            return Reply(True, state)
        self.calls.append((server, str(call)))
        return self.effect(self, server, call)


def context(servers: Servers) -> DatabaseContext:
    return DatabaseContext(environment="prod", servers=(ONE, TWO), fleet=servers, clock=FakeClock())


def seen(first: dict[str, Any] | Reply, second: dict[str, Any] | Reply) -> tuple[Any, ...]:
    cluster = context(Servers({ONE: first, TWO: second})).look()
    return findings(cluster)


def texts(first: dict[str, Any] | Reply, second: dict[str, Any] | Reply) -> list[str]:
    return [finding.text for finding in seen(first, second)]


REINIT_TWO = "salt-run database.reinit prod server=prod-db-2"
PROMOTE_TWO = "salt-run database.promote prod server=prod-db-2"


def test_one_primary_and_its_standby_is_well() -> None:
    assert seen(primary(TWO), standby()) == ()


@pytest.mark.parametrize(
    ("first", "second", "text", "command"),
    [
        (primary(), primary(), "both say that they are the primary", REINIT_TWO),
        (down(), standby(False), "there is no primary: nothing can be written", PROMOTE_TWO),
        (SILENT, standby(False), "no server that can be seen is the primary, and prod-db-1 cannot be seen", ""),
        (SILENT, primary(), "prod-db-1 cannot be seen: no answer within 30 s", ""),
        (primary(), standby(False), "prod-db-2 is a standby and does not stream", REINIT_TWO),
        (primary(TWO), standby(False), "does not stream from prod-db-1", REINIT_TWO),
        (primary(managed=False), standby(False, managed=False), "does not stream from prod-db-1", REINIT_TWO),
        (primary(managed=False), primary(managed=False), "both say that they are the primary", REINIT_TWO),
        (primary(TWO, paused=True), standby(), "automatic failover is switched off", "salt-run database.resume prod"),
        (primary(TWO), down(), "prod-db-2: the database does not answer: connection refused", ""),
        (primary(TWO), standby(answers=False), "prod-db-2: refused: nobody watches over its database", ""),
        (
            primary(TWO), standby(voices={ONE: False, TWO: True, "salt-master": False}),
            "prod-db-2 sees no majority of etcd (prod-db-1, salt-master silent): nobody is promoted", "",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_red_and_says_what_to_type(
    first: dict[str, Any] | Reply, second: dict[str, Any] | Reply, text: str, command: str
) -> None:
    [matching] = [finding for finding in seen(first, second) if text in finding.text]
    assert (matching.red, matching.command) == (True, command)


def test_no_promotion_is_advised_where_nobody_may_choose() -> None:
    alone = {ONE: False, TWO: True, "salt-master": False}
    commands = [finding.command for finding in seen(down(voices=alone), standby(False, voices=alone))]
    assert not any("promote" in command for command in commands)


def test_a_pair_without_failover_is_no_alarm_and_is_said() -> None:
    [only] = seen(primary(TWO, managed=False, sync="async"), standby(managed=False))
    assert (only.red, only.text.startswith("nobody takes over by itself")) == (False, True)


def test_a_silent_third_voice_is_no_alarm_yet() -> None:
    without = {ONE: True, TWO: True, "salt-master": False}
    silent = seen(primary(TWO, voices=without), standby(voices=without))
    assert [finding.red for finding in silent] == [False, False]


def test_lines_for_people_have_the_command_below_its_reason() -> None:
    cluster = seen_cluster("prod", {ONE: Reply(True, primary()), TWO: Reply(True, standby(False))})
    lines = report.text(cluster, findings(cluster), colour=False).splitlines()
    assert lines[0].split() == [ONE, "primary", "pg_is_in_recovery()", "is", "f"]
    assert lines[-1] == f"  {REINIT_TWO}"


def switched(servers: Servers, server: str, call: Call) -> Reply:
    """What a server that is told to take over does."""
    assert call.function in {"database.switchover", "database.promote"}
    other = TWO if server == ONE else ONE
    servers.states = {server: primary(other), other: standby()}
    return Reply(True, {"seconds": 2.0})


def test_a_switchover_takes_the_only_standby() -> None:
    servers = Servers({ONE: primary(TWO), TWO: standby()}, switched)
    done = change.switchover(context(servers), "", 60)
    assert servers.calls == [(TWO, "database.switchover prod-db-1 within_s=60")]
    assert (done.before.primaries, done.after.primaries) == ((ONE,), (TWO,))


@pytest.mark.parametrize(
    ("first", "second", "server", "why"),
    [
        (primary(), primary(), "", "prod-db-1 and prod-db-2 both are primaries"),
        (primary(), standby(False), "", "there is no standby that streams from the primary"),
        (primary(TWO), standby(), ONE, "prod-db-1 is no standby that streams from the primary: it is primary"),
        (primary(TWO), standby(), "prod-app-1", "prod-app-1 is no standby"),
        (down(), standby(False), "", "there is no primary that can be seen"),
    ],
)
def test_a_switchover_that_could_lose_something_touches_nothing(
    first: dict[str, Any], second: dict[str, Any], server: str, why: str
) -> None:
    servers = Servers({ONE: first, TWO: second})
    with pytest.raises(NotReady, match=why):
        change.switchover(context(servers), server, 60)
    assert servers.calls == []


def test_a_switchover_that_did_not_happen_is_no_success() -> None:
    servers = Servers({ONE: primary(TWO), TWO: standby()}, lambda *_: Reply(True, {"seconds": 0.1}))
    with pytest.raises(ServerFailed, match="prod-db-1 primary, prod-db-2 standby"):
        change.switchover(context(servers), "", 60)


def test_a_promotion_needs_that_there_is_no_primary() -> None:
    servers = Servers({ONE: primary(), TWO: standby(False)}, switched)
    with pytest.raises(NotReady, match="a second one would split the data"):
        change.promote(context(servers), TWO, 60)
    unseen = Servers({ONE: SILENT, TWO: standby(False, managed=False)}, switched)
    with pytest.raises(NotReady, match="prod-db-1 cannot be seen and may be the primary"):
        change.promote(context(unseen), TWO, 60)
    assert servers.calls == unseen.calls == []
    dead = Servers({ONE: down(), TWO: standby(False)}, switched)
    assert change.promote(context(dead), "", 60).after.primaries == (TWO,)


def test_a_server_is_made_anew_only_from_one_other_primary() -> None:
    for first in (down(), standby(False)):
        servers = Servers({ONE: first, TWO: standby(False)})
        with pytest.raises(NotReady, match="made anew only as a copy of one other primary"):
            change.reinit(context(servers), TWO)
        assert servers.calls == []
    with pytest.raises(NotReady, match="name one with server="):
        change.reinit(context(Servers({ONE: primary(TWO), TWO: standby()})), "")


def test_failover_is_switched_by_the_first_server_that_does_it() -> None:
    def paused(servers: Servers, server: str, call: Call) -> Reply:
        if server == ONE:
            return Reply(False, error="etcd is slow")
        on = not call.kwargs["resume"]
        servers.states = {ONE: primary(TWO, paused=on), TWO: standby(paused=on)}
        return Reply(True)

    servers = Servers({ONE: primary(TWO), TWO: standby()}, paused)
    assert change.pause(context(servers), resume=False).after.paused
    assert not change.pause(context(servers), resume=True).after.paused
    with pytest.raises(NotReady, match="no server's Patroni answers"):
        change.pause(context(Servers({ONE: primary(managed=False), TWO: standby(managed=False)})), resume=False)


def test_another_primary_is_noticed_once(tmp_path: Path) -> None:
    records = PrimaryRecords(Store(tmp_path / "store.sqlite"))
    assert [records.replaced("prod", server) for server in (ONE, ONE, TWO, TWO)] == ["", "", ONE, ""]
    assert records.replaced("test", ONE) == ""
