"""What an operator can look at: servers as they are now, releases as the journal has them, and one release as it happens."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from saltlick.commands.arguments import Flag, Limit, Request, WaitSeconds, text
from saltlick.commands.context import single_environment
from saltlick.commands.job import environment_locks
from saltlick.commands.release.context import open_journal, release_context, release_target
from saltlick.commands.release.result import write_page
from saltlick.commands.result import CommandResult
from saltlick.commands.terminal import colour_wanted, local_zone
from saltlick.errors import InvalidInput, Problem
from saltlick.jobs.interrupts import Interrupted
from saltlick.jobs.signals import ended_by_signals
from saltlick.release.journal.record import ReleaseRecord, Result
from saltlick.release.planning.server_health import observe_servers
from saltlick.release.report import history as release_history
from saltlick.release.report import lines
from saltlick.release.report import status as server_status
from saltlick.release.report.watch import frame, new_lines
from saltlick.words import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from saltlick.release.journal.store import Journal

SHORTEST_S = 0.1


class ReleaseHistoryRequest(Request):
    """The newest `limit` releases; 0 is all."""

    limit: Limit = 20


class ShowRequest(Request):
    """One release, by its id, or the latest one of an environment."""

    steps: Flag = True


class WatchRequest(Request):
    """The release to follow, and the pause between two looks."""

    interval_s: WaitSeconds = 0.5


def status(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """What each server runs now, how well, and who has the lock."""
    target = release_target(opts, request.name)
    environment = target.environment.name
    with release_context(opts, environment, target.recipe, environment=target.environment) as context:
        servers = observe_servers(target.recipe, environment, target.servers, context)
        last = context.journal.latest(environment, target.recipe.application)
    locks = environment_locks(opts, request.caller.user)
    holder = locks.read(environment)
    lock = f"{holder}{' (stale: its process is gone)' if locks.stale(holder) else ''}" if holder else ""
    now = time.time()
    return CommandResult(
        server_status.data(environment, servers, now=now, lock=lock, last=last),
        lambda colour: server_status.text(environment, servers, now=now, lock=lock, last=last, colour=colour),
    )


def history(opts: Mapping[str, Any], request: ReleaseHistoryRequest) -> CommandResult:
    """Releases of the past, newest first."""
    environment = single_environment(opts, request.name)
    with open_journal(opts) as journal:
        records = journal.history(environment, limit=request.limit or -1)
    now = time.time()
    result = {"environment": environment, "releases": release_history.table_data(records, now=now)}
    return CommandResult(
        result, lambda colour: release_history.table(records, colour=colour, zone=local_zone(), now=now)
    )


def show(opts: Mapping[str, Any], request: ShowRequest) -> CommandResult:
    """One release, by its id or (an environment's name) the latest one."""
    with open_journal(opts) as journal:
        record = _named_release(opts, journal, request.name)
    now, page = time.time(), write_page(opts, record)
    result = {**release_history.show_data(record, now=now), "page": page}
    if not request.steps:
        record = replace(record, steps=())
        del result["steps"]
    return CommandResult(
        result,
        lambda colour: f"{release_history.show(record, colour=colour, zone=local_zone(), now=now)}\nPage: {page}",
    )


def watch(opts: Mapping[str, Any], request: WatchRequest) -> CommandResult:
    """Follow a release until it is over, or a signal ends that. The result is its summary; the release knows nothing of it."""
    pause_s = max(request.interval_s, SHORTEST_S)
    with open_journal(opts) as journal:
        release_id = _named_release(opts, journal, request.name).id

        def read() -> ReleaseRecord:
            record = journal.read(release_id)
            assert record is not None  # the journal forgets nothing
            return record

        follow = _screen if sys.stderr.isatty() else _lines
        try:
            with ended_by_signals():
                record = follow(opts, read, pause_s)
        except Interrupted:
            record = read()
    return CommandResult(
        release_history.brief(record), lambda colour: lines.summary(record, colour=colour, now=time.time())
    )


def _screen(opts: Mapping[str, Any], read: Callable[[], ReleaseRecord], pause_s: float) -> ReleaseRecord:
    """Frame after frame in one place."""
    console = Console(file=sys.stderr, no_color=not colour_wanted(opts, sys.stderr))
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            record = read()
            live.update(frame(record, time.time(), height=console.height, zone=local_zone()), refresh=True)
            if record.result is not Result.RUNNING:
                return record
            time.sleep(pause_s)


def _lines(opts: Mapping[str, Any], read: Callable[[], ReleaseRecord], pause_s: float) -> ReleaseRecord:
    """A line for each step that is new."""
    colour, printed = colour_wanted(opts, sys.stderr), frozenset[tuple[int, bool]]()
    while True:
        record = read()
        new, printed = new_lines(record, printed, colour=colour, zone=local_zone())
        sys.stderr.writelines(f"{printable(line, colour=colour)}\n" for line in new)
        sys.stderr.flush()
        if record.result is not Result.RUNNING:
            return record
        time.sleep(pause_s)


def _named_release(opts: Mapping[str, Any], journal: Journal, name: object) -> ReleaseRecord:
    """A release by its id, or the one of an environment: the one under way, else the latest.

    Raises: InvalidInput.
    """
    try:
        typed = text(opts, "name", name)
    except ValueError as error:
        raise InvalidInput([Problem("name", str(error))], what="arguments") from error
    if not typed:
        raise InvalidInput([Problem("name", "name an environment or a release")], what="arguments")
    if record := journal.read(typed):
        return record
    environment = single_environment(opts, typed)
    latest = journal.unfinished(environment) or next(iter(journal.history(environment, limit=1)), None)
    if latest is None:
        raise InvalidInput([f"nothing was ever released in {environment} from this master"], what="release")
    return journal.read(latest.id) or latest
