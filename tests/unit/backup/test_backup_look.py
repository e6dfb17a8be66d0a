"""The look at the stores while backups are made and deleted, and what helps against each reason to worry."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.backup_samples import DAY, HOUR, T0, Servers, stage, subject

from saltlick.backup import report
from saltlick.backup.context import BackupContext, BackupJob
from saltlick.backup.freshness import FreshnessResult
from saltlick.backup.history import Attempt, BackupHistory
from saltlick.backup.look import catalogues_of, judged_freshness
from saltlick.backup.restores import RestoreTarget, drill
from saltlick.backup.run import take
from saltlick.backup.verify import verify
from saltlick.errors import SaltlickError
from saltlick.fleet.ports import Call, Reply
from saltlick.jobs.processes import Process
from saltlick.jobs.store import Store

NOW = T0 + 2 * DAY + HOUR


def look(context: BackupContext, **more: Any) -> FreshnessResult:
    (result,) = judged_freshness([subject(**more)], context)
    return result


class Interleaved(Servers):
    """Something happens while the store is listed: what is listed is from before it, or from after it."""

    meanwhile: Callable[[], object] | None = None
    list_first = True

    def _backup_catalogue(self, server: str, call: Call) -> Reply:
        happens, self.meanwhile = self.meanwhile, None
        listing = super()._backup_catalogue(server, call)
        if happens:
            happens()
        return listing if self.list_first else super()._backup_catalogue(server, call)


@pytest.mark.parametrize("list_first", [True, False], ids=["it is not in the list", "it is in the list"])
@pytest.mark.parametrize("keep", [{"daily": 7}, {"daily": 1}], ids=["nothing is deleted", "an old one is deleted"])
def test_a_run_that_finishes_while_the_store_is_listed_is_no_reason(
    tmp_path: Path, list_first: bool, keep: Any
) -> None:
    servers = Interleaved()
    context = stage(servers, tmp_path, NOW)
    for night in range(2):
        take(subject(), "full", stage(servers, tmp_path, T0 + night * DAY))
    servers.list_first = list_first
    servers.meanwhile = lambda: take(subject(keep=keep), "incr", context)
    assert look(context, max_age_s=3 * 86400).reasons == ()
    assert look(context, max_age_s=3 * 86400).reasons == ()


def test_a_look_between_the_mark_of_a_deletion_and_the_deletion_misses_nothing(tmp_path: Path) -> None:
    servers = Servers()
    context = stage(servers, tmp_path, NOW)
    for night in range(2):
        take(subject(), "full", stage(servers, tmp_path, T0 + night * DAY))
    seen: list[FreshnessResult] = []

    def pruned(server: str, call: Call) -> Reply:
        seen.append(look(context, max_age_s=3 * 86400))  # nothing is deleted yet
        del servers.answers["backup.prune"]
        reply = servers.run({server: call}, deadline_s=1)[server]
        seen.append(look(context, max_age_s=3 * 86400))  # deleted, and the run has not ended
        return reply

    servers.answers["backup.prune"] = pruned
    take(subject(keep={"daily": 1}), "full", context)
    assert [result.reasons for result in seen] == [(), ()]


def test_a_backup_that_vanished_by_itself_is_a_reason_also_beside_a_run(tmp_path: Path) -> None:
    servers = Interleaved()
    context = stage(servers, tmp_path, NOW)
    lost = take(subject(), "full", stage(servers, tmp_path, T0)).backup.id
    servers.manifests.clear()
    servers.meanwhile = lambda: take(subject(), "full", context)
    assert f"{lost} was made at 2026-11-02 02:00:00 UTC, and is not in the store any more" in look(context).reasons


def test_a_run_that_ends_between_the_looks_at_its_row_and_at_its_process_was_not_killed(tmp_path: Path) -> None:
    class Ending:
        """The process ends, and writes so, right before it is looked for."""

        def mine(self) -> Process:
            return Process(4, "then")

        def find(self, pid: int) -> None:
            history.end(number, ok=True, backup="20261104T030000Z-full")

    history = BackupHistory(Store(tmp_path / "h.sqlite"), processes=Ending(), now=lambda: NOW)  # type: ignore[arg-type]
    number = history.begin("prod", Attempt.TAKE, "database")
    (attempt,) = history.of("prod", "database")
    assert (attempt.ok, attempt.ended, attempt.alive) == (True, NOW, False)


# -- what is printed as the next step is typed, in the state in which it is printed

At = Callable[[Any], BackupContext]
"""The stage at a moment: the same servers, store and history."""
DRILL = {
    "environment": "test",
    "servers": "db",
    "store": "vault",
    "checks": [{"name": "n", "command": "true"}],
    "at": {"cron": "0 5 * * 0"},
}


def nothing(servers: Servers, at: At) -> None:
    """The store is empty."""


def too_old(servers: Servers, at: At) -> None:
    take(subject(), "full", at(T0 - 9 * DAY))


def failed(servers: Servers, at: At) -> None:
    take(subject(), "full", at(NOW - 2 * HOUR))
    servers.answers["backup.take"] = lambda server, call: Reply(False, error="no space left")
    with pytest.raises(SaltlickError):
        take(subject(), "full", at(NOW - HOUR))
    del servers.answers["backup.take"]


def damaged(servers: Servers, at: At) -> None:
    take(subject(), "full", at(NOW - HOUR))
    problems = ["one file differs"]
    servers.answers["backup.verify"] = lambda server, call: Reply(
        True, {"id": call.args[2], "problems": problems, "size": 1}
    )
    verify(subject(), "latest", at(NOW - HOUR / 2))
    del servers.answers["backup.verify"]


def broken_chain(servers: Servers, at: At) -> None:
    take(subject(), "full", at(NOW - 2 * HOUR))
    lost = {**servers.manifests[0], "id": "20261104T020000Z-incr", "mode": "incr", "base": "gone", "previous": "gone"}
    servers.manifests.append(lost)


def vanished(servers: Servers, at: At) -> None:
    take(subject(), "full", at(NOW - 2 * HOUR))
    servers.manifests.clear()
    take(subject(), "full", at(NOW - HOUR))


def unseen(servers: Servers, at: At) -> None:
    take(subject(), "full", at(NOW - HOUR))
    servers.answers["backup.catalogue"] = lambda server, call: Reply(False, error="the store does not answer")


def undrilled(servers: Servers, at: At) -> None:
    take(subject(), "full", at(NOW - HOUR))
    history = at(NOW - HOUR).history
    history.end(history.begin("prod", Attempt.DRILL, "database"), ok=False, error="too slow")


def contested(servers: Servers, at: At) -> None:
    """And nothing is in the store: a plain run does not help against that now."""
    servers.roles["prod-db-2"] = "primary"


LIST = "salt-run backup.list prod job=database"
TAKE = "salt-run backup.run prod job=database"


@pytest.mark.parametrize(
    ("state", "expected", "helped"),
    [
        (nothing, (TAKE,), True),
        (too_old, (TAKE,), True),
        (failed, (TAKE,), True),
        (damaged, (f"{TAKE} mode=full",), True),
        (broken_chain, (f"{TAKE} mode=full",), True),
        (undrilled, ("salt-run backup.drill prod job=database",), True),
        (vanished, (LIST,), False),  # it shows what there is; a lost backup does not come back
        (unseen, (LIST,), False),
        (contested, tuple(f"{TAKE} server={server} primary={server}" for server in ("prod-db-1", "prod-db-2")), False),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_next_step_is_one_that_can_be_typed_and_helps(
    tmp_path: Path, state: Callable[[Servers, At], None], expected: tuple[str, ...], helped: bool
) -> None:
    servers, spec = Servers(), subject(drill=DRILL)

    def at(moment: Any) -> BackupContext:
        return stage(servers, tmp_path, moment)

    state(servers, at)
    result = look(at(NOW), drill=DRILL)
    assert result.next_commands == expected
    text = report.verdicts_text("prod", [result], {"database": NOW.timestamp()}, colour=False)
    assert [line.strip().removeprefix("next: ") for line in text.splitlines() if "next: " in line] == list(expected)
    for command in result.next_commands:
        typed(command, at(NOW + timedelta(minutes=1)), spec)
    assert look(at(NOW + timedelta(minutes=2)), drill=DRILL).fresh is helped


def typed(command: str, context: BackupContext, spec: BackupJob) -> None:
    """Carry out a printed command: each of its words has to be one that the command knows."""
    salt_run, function, environment, *words = shlex.split(command)
    assert (salt_run, environment) == ("salt-run", "prod")
    given = dict(word.split("=", 1) for word in words)
    assert given.pop("job") == "database"
    if function == "backup.run":
        take(
            spec,
            given.pop("mode", "full"),
            context,
            server=given.pop("server", ""),
            primary=given.pop("primary", ""),
        )
    elif function == "backup.drill":
        drill(spec, RestoreTarget(environment="test", servers=("prod-db-1",), store="vault"), context)
    else:
        assert function == "backup.list"
        assert catalogues_of([spec], context).keys() == {"database"}
    assert not given


# -- the words


def words(*results: FreshnessResult) -> list[str]:
    since = {"database": T0.timestamp()}
    return report.verdicts_text("prod", results, since, colour=False).splitlines()


def test_the_first_line_is_the_whole_environments(tmp_path: Path) -> None:
    servers = Servers()
    take(subject(), "full", stage(servers, tmp_path, NOW - HOUR))
    result = look(stage(servers, tmp_path, NOW))
    assert words(result, result)[0] == "prod: all 2 backup jobs are fresh, safe up to 60 min ago"


def test_a_store_that_cannot_be_seen_is_not_said_to_be_empty(tmp_path: Path) -> None:
    servers = Servers()
    unseen(servers, lambda moment: stage(servers, tmp_path, moment))
    last = "the last run that ended well began at 2026-11-04 02:00:00 UTC"
    assert words(look(stage(servers, tmp_path, NOW))) == [
        "prod: CANNOT BE SEEN: database (0 of 1 backup jobs are fresh)",
        "  database: it cannot be seen what is safe, red since 2026-11-02 02:00:00 UTC",
        "      the store cannot be seen: prod-db-2: the store does not answer",
        f"      it is not known whether the backups are there and whole ({last})",
        "      it is not known how far back everything is safe",
        "      next: salt-run backup.list prod job=database",
    ]


def test_two_primaries_are_red_beside_a_store_that_cannot_be_seen(tmp_path: Path) -> None:
    servers = Servers(roles={"prod-db-1": "primary", "prod-db-2": "primary"})
    servers.answers["backup.catalogue"] = lambda server, call: Reply(False, error="the store does not answer")
    first, second, *_ = look(stage(servers, tmp_path, NOW)).reasons
    assert first.startswith("more than one server is the primary: prod-db-1, prod-db-2.")
    assert second == "the store cannot be seen: prod-db-1: the store does not answer"


def test_no_backup_at_all_is_said_to_be_none(tmp_path: Path) -> None:
    assert words(look(stage(Servers(), tmp_path, NOW))) == [
        "prod: RED: database (0 of 1 backup jobs are fresh)",
        "  database: nothing is safe, red since 2026-11-02 02:00:00 UTC",
        "      there is no good backup",
        "      next: salt-run backup.run prod job=database",
    ]
