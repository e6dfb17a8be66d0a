"""What is installed in the scheduler of the master's own minion, and what is taken out of it again."""

from __future__ import annotations

from typing import Any

import pytest
from support.fleet import SILENT, FakeFleet

from saltlick.backup.pillar import Backups
from saltlick.commands.environment import schedule
from saltlick.environment.pillar import DeclaredServer
from saltlick.environment.pillar.servers import BootAs
from saltlick.errors import ServerFailed
from saltlick.fleet.ports import Call

JOBS = {
    "database": {
        "postgresql": {},
        "servers": "db",
        "store": "vault",
        "full": {"cron": "15 2 * * *"},
        "incremental": {"every_s": 300},
        "splay_s": 60,
        "drill": {
            "environment": "test",
            "servers": "db",
            "store": "prod-vault",
            "at": {"cron": "30 4 * * 0"},
            "checks": [{"name": "n", "command": "true"}],
        },
    },
    "files": {"directories": ["/srv/x"], "servers": "db", "store": "vault"},
}


class Minion(FakeFleet):
    """A scheduler, as `schedule.list` and the states of `schedule` see it."""

    def __init__(self, *, gone: bool = False) -> None:
        super().__init__()
        self.jobs: dict[str, Any] = {
            "saltlick test: backup other full": {},
            "saltlick prod: old": {},
            "__mine_interval": {},
        }
        self.gone = gone
        self.signs = False

    def answer(self, server: str, call: Call) -> Any:
        if self.gone:
            return SILENT
        if call == schedule.SYNC:
            self.signs = True
            return []
        assert self.signs, "asked before it had the module that signs"
        if call.function == "schedule.list":
            return dict(self.jobs)
        assert call.function == "state.high"
        (high,) = call.args
        return {
            f"schedule_|-{name}": self._state(name, body["schedule"], call.kwargs["test"])
            for name, body in high.items()
        }

    def _state(self, name: str, body: list[Any], test: bool) -> dict[str, Any]:
        function, *parts = body
        wanted = {key: value for part in parts for key, value in part.items()}
        changed = name in self.jobs if function == "absent" else self.jobs.get(name) != wanted
        if changed and not test:
            self.jobs.pop(name, None)
            if function == "present":
                self.jobs[name] = wanted
        return {"name": name, "result": True, "changes": {name: "changed"} if changed else {}, "comment": ""}


@pytest.fixture
def jobs() -> dict[str, dict[str, Any]]:
    return dict(schedule.of_backups("prod", Backups.model_validate({"jobs": JOBS})))


@pytest.mark.parametrize(("roles", "names"), [(("base", "postgresql"), ["saltlick prod: database"]), (("base",), [])])
def test_a_database_cluster_is_looked_at(roles: tuple[str, ...], names: list[str]) -> None:
    server = DeclaredServer(
        name="prod-db-1", environment="prod", group="db", number=1, zone="a", subnet="s", roles=roles, tier=1,
        boot=BootAs.MINION, private_ip=None,
    )  # fmt: skip
    assert [name for name, _ in schedule.of_databases("prod", [server])] == names


def test_what_is_wanted(jobs: dict[str, dict[str, Any]]) -> None:
    assert list(jobs) == [
        "saltlick prod: backup database full",
        "saltlick prod: backup database incr",
        "saltlick prod: drill database",
        "saltlick prod: freshness",
    ]
    assert jobs["saltlick prod: backup database incr"] == {
        "function": "saltutil.runner",
        "job_args": ["backup.run"],
        "job_kwargs": {"arg": ["prod"], "kwarg": {"job": "database", "mode": "incr", "lock_wait": 3600}},
        "maxrunning": 1,
        "seconds": 300,
        "splay": 60,
    }
    assert jobs["saltlick prod: drill database"]["cron"] == "30 4 * * 0"


def test_it_is_installed_and_what_is_not_wanted_is_taken_out(jobs: dict[str, dict[str, Any]]) -> None:
    minion = Minion()
    change = schedule.installed(minion, "salt-master", "prod", jobs, test=False)
    assert change["result"] is True
    assert set(change["changes"]) == {*jobs, "saltlick prod: old"}
    assert set(minion.jobs) == {*jobs, "saltlick test: backup other full", "__mine_interval"}
    assert schedule.installed(minion, "salt-master", "prod", jobs, test=False)["changes"] == {}


def test_a_dry_run_changes_nothing(jobs: dict[str, dict[str, Any]]) -> None:
    minion = Minion()
    before = dict(minion.jobs)
    change = schedule.installed(minion, "salt-master", "prod", jobs, test=True)
    assert change["result"] is None
    assert minion.jobs == before


def test_a_minion_that_is_wanted_and_silent_fails(jobs: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(
        ServerFailed, match="salt-master, the master's own minion, whose scheduler is wanted, does not answer"
    ):
        schedule.installed(Minion(gone=True), "salt-master", "prod", jobs, test=False)


def test_where_nothing_is_wanted_nobody_has_to_answer() -> None:
    assert schedule.installed(Minion(gone=True), "salt-master", "prod", {}, test=False)["result"] is True
