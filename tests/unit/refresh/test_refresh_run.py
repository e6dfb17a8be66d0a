"""A refresh, killed at every call it makes: the target is as before or refreshed, and the next run ends it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.backup_samples import DAY, T0, Servers, nightly, stage, subject
from support.fleet import SILENT

from saltlick.backup.restores import RestoreTarget
from saltlick.errors import NotReady, ServerFailed
from saltlick.fleet.ports import Call, Reply
from saltlick.jobs.store import Store
from saltlick.refresh.pillar import Refresh
from saltlick.refresh.record import RefreshPhase, RefreshRecords
from saltlick.refresh.run import RefreshRequest, refresh

ROLES = {"prod-db-1": "primary", "prod-db-2": "standby", "test-db-1": "primary", "test-db-2": "standby"}
NOW = T0 + DAY + timedelta(hours=1)
HOW = {
    "source": "prod",
    "job": "database",
    "store": "prod-vault",
    "servers": "db",
    "mask": [{"database": "app", "sql": "update people set name = 'x'"}],
    "mail": [{"database": "app", "sql": "update settings set mail = false"}],
    "checks": [{"name": "people", "database": "app", "query": "select 1"}],
    "application": {"servers": "app", "stop": ["service.stop app"], "start": ["service.start app"]},
    "after": ["state.apply postgresql"],
}


class KilledError(BaseException):
    """As a SIGKILL: nothing of the program runs after it."""


class World(Servers):
    """The servers of both environments, and what the application and the databases of test are at.

    `die_at` is the call that is the last.
    """

    def __init__(self, die_at: int = 0, *, after: bool = False) -> None:
        super().__init__(*nightly(2, increments=1), roles=ROLES)
        self.application = {"test-app-1": "up", "test-app-2": "up"}
        self.data = {"test-db-1": "old", "test-db-2": "old"}
        self.die_at, self.after, self.count = die_at, after, 0
        self.ready = ""
        self.exchange_is_silent = False

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        self.count += 1
        if self.count == self.die_at and not self.after:
            raise KilledError
        replies = super().run(calls, deadline_s=deadline_s)
        if self.count == self.die_at:
            raise KilledError
        return replies

    def _reply(self, server: str, call: Call) -> Reply:
        if self.exchange_is_silent and call.function == "detached.status" and str(call.args[0]).endswith("exchange"):
            return SILENT
        if call.function == "detached.status" and call.args[0] not in self._jobs:
            return Reply(True, {"state": "unknown"})
        return super()._reply(server, call)

    def _backup_take(self, server: str, call: Call) -> Reply:
        return Reply(True, self.manifests[-1])

    def _backup_restore(self, server: str, call: Call) -> Reply:
        assert set(self.application.values()) == {"up"}
        assert call.kwargs["anew"]
        self.ready = call.kwargs["hold"]
        return super()._backup_restore(server, call)

    def _backup_exchange(self, server: str, call: Call) -> Reply:
        assert set(self.application.values()) == {"down"}
        if call.args != (self.ready,):
            return Reply(False, error=f"{server} holds nothing ready under the name {call.args[0]!r}")
        self.data[server], self.ready = "new", ""
        return Reply(True, {"kept": "/main.before-restore"})

    def _backup_discard(self, server: str, call: Call) -> Reply:
        self.ready = ""
        return Reply(True, [])

    def _backup_reseed(self, server: str, call: Call) -> Reply:
        assert set(self.application.values()) == {"up"}
        assert call.args == (False,)
        self.data[server] = "new"
        return super()._backup_reseed(server, call)

    def _service_stop(self, server: str, call: Call) -> Reply:
        self.application[server] = "down"
        return Reply(True, True)

    def _service_start(self, server: str, call: Call) -> Reply:
        self.application[server] = "up"
        return Reply(True, True)

    def _state_apply(self, server: str, call: Call) -> Reply:
        return Reply(True, {})


def asked() -> RefreshRequest:
    return RefreshRequest(
        subject=subject(),
        target=RestoreTarget(environment="test", servers=("test-db-1", "test-db-2"), store="prod-vault"),
        how=Refresh.model_validate(HOW),
        application=("test-app-1", "test-app-2"),
        who="ann",
    )


def records(folder: Path, now: datetime = NOW) -> RefreshRecords:
    return RefreshRecords(Store(folder / "refreshes.sqlite"), now=lambda: now)


def test_the_whole_of_it(tmp_path: Path) -> None:
    world, kept = World(), records(tmp_path)
    done = refresh(asked(), kept, stage(world, tmp_path, NOW))
    assert done.phase is RefreshPhase.DONE
    assert set(world.data.values()) == {"new"}
    assert set(world.application.values()) == {"up"}
    ((server, call),) = world.called("backup.restore")
    assert server == "test-db-1"
    assert [script["sql"] for script in call.kwargs["scripts"]] == [
        "update people set name = 'x'",
        "update settings set mail = false",
    ]
    assert [each["name"] for each in call.kwargs["scripts"]] == ["refresh.mask[0]", "refresh.mail[0]"]
    functions = [call.function for _, call in world.calls]
    story = ["restore", "service.stop", "backup.exchange", "state.apply", "service.start", "backup.reseed"]
    places = [min(n for n, function in enumerate(functions) if function.endswith(step)) for step in story]
    assert places == sorted(places)
    assert done.result["kept"] == "/main.before-restore"


def total() -> int:
    world = World()
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        refresh(asked(), records(Path(folder)), stage(world, Path(folder), NOW))
    return world.count


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, total() + 1))
def test_killed_at_any_call_the_next_run_ends_it(tmp_path: Path, number: int, after: bool) -> None:
    world, kept = World(number, after=after), records(tmp_path)
    with pytest.raises(KilledError):
        refresh(asked(), kept, stage(world, tmp_path, NOW))
    assert world.data["test-db-1"] in {"old", "new"}
    world.die_at = 0
    done = refresh(asked(), kept, stage(world, tmp_path, NOW))
    assert done.phase is RefreshPhase.DONE
    assert set(world.data.values()) == {"new"}
    assert set(world.application.values()) == {"up"}
    assert not [
        record for record in kept.history("test") if record.phase not in {RefreshPhase.DONE, RefreshPhase.FAILED}
    ]


def test_what_fails_before_the_exchange_leaves_all_as_it_was(tmp_path: Path) -> None:
    world, kept = World(), records(tmp_path)
    world.answers["backup.restore"] = lambda server, call: Reply(
        False, error="1 of 1 checks failed: people: is 3 and not 0"
    )
    with pytest.raises(ServerFailed, match=r"people: is 3 .* test is as it was.*refresh.run source=prod target=test"):
        refresh(asked(), kept, stage(world, tmp_path, NOW))
    assert set(world.data.values()) == {"old"}
    assert not world.called("service.stop")
    assert not world.called("service.start")
    assert [server for server, _ in world.called("backup.discard")] == ["test-db-1"]
    last = kept.latest("test")
    assert last
    assert last.phase is RefreshPhase.FAILED


def test_what_could_not_be_removed_is_said(tmp_path: Path) -> None:
    world = World()
    world.answers["backup.restore"] = lambda server, call: Reply(False, error="killed")
    world.answers["backup.discard"] = lambda server, call: Reply(False, error="no answer")
    with pytest.raises(
        ServerFailed, match=r"may still lie on test-db-1 unmasked \(no answer\): salt test-db-1 backup.discard"
    ):
        refresh(asked(), records(tmp_path), stage(world, tmp_path, NOW))


def test_an_exchange_that_fails_brings_the_application_back_to_what_it_had(tmp_path: Path) -> None:
    world, kept = World(), records(tmp_path)
    world.answers["backup.exchange"] = lambda server, call: Reply(False, error="it does not serve here")
    with pytest.raises(ServerFailed, match=r"it does not serve here. test is as it was"):
        refresh(asked(), kept, stage(world, tmp_path, NOW))
    assert set(world.data.values()) == {"old"}
    assert set(world.application.values()) == {"up"}
    world.answers.clear()
    assert refresh(asked(), kept, stage(world, tmp_path, NOW)).phase is RefreshPhase.DONE
    assert len(world.called("backup.restore")) == 2


def test_of_an_exchange_without_an_answer_nothing_is_claimed_and_the_next_run_finds_out(tmp_path: Path) -> None:
    world, kept = World(), records(tmp_path)
    world.exchange_is_silent = True
    with pytest.raises(ServerFailed, match=r"no answer. Whether test has the new data is not known") as failed:
        refresh(asked(), kept, stage(world, tmp_path, NOW))
    assert "as it was" not in str(failed.value)
    world.exchange_is_silent = False
    assert refresh(asked(), kept, stage(world, tmp_path, NOW)).phase is RefreshPhase.DONE
    assert len(world.called("backup.restore")) == len(world.called("backup.exchange")) == 1
    assert set(world.application.values()) == {"up"}


def test_what_lies_ready_serves_only_while_it_is_as_new_as_data_has_to_be(tmp_path: Path) -> None:
    world, kept = World(), records(tmp_path)

    def killed(server: str, call: Call) -> Reply:
        raise KilledError

    world.answers["service.stop"] = killed
    with pytest.raises(KilledError):
        refresh(asked(), kept, stage(world, tmp_path, NOW))
    world.answers.clear()
    with pytest.raises(NotReady, match="is the newest backup, 3 d old"):
        refresh(asked(), kept, stage(world, tmp_path, NOW + 3 * DAY))
    assert not world.called("backup.exchange")
    assert set(world.application.values()) == {"up"}


def test_what_fails_after_it_is_said_and_gone_on_with(tmp_path: Path) -> None:
    world, kept = World(), records(tmp_path)
    world.answers["backup.reseed"] = lambda server, call: Reply(False, error="no room")
    with pytest.raises(ServerFailed, match=r"the data is refreshed, what follows it is not done: .*no room"):
        refresh(asked(), kept, stage(world, tmp_path, NOW))
    world.answers.clear()
    assert refresh(asked(), kept, stage(world, tmp_path, NOW)).phase is RefreshPhase.DONE
    assert len(world.called("backup.restore")) == 1
    assert set(world.application.values()) == {"up"}


def test_data_that_is_too_old_is_not_taken(tmp_path: Path) -> None:
    world = World()
    with pytest.raises(NotReady, match="is the newest backup, 10 d old, and 26 h are allowed"):
        refresh(asked(), records(tmp_path), stage(world, tmp_path, NOW + 10 * DAY))
    assert not world.called("service.stop")
