"""What anybody may look at: servers as they are now, releases as the journal has them, and one as it happens."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from saltlick.commands.arguments import flag_argument, number_argument, text_argument
from saltlick.commands.lock import environment_locks
from saltlick.commands.release.context import open_journal, release_context, release_target, single_environment
from saltlick.commands.release.notifier import local_zone
from saltlick.commands.release.result import write_page
from saltlick.commands.result import CommandResult
from saltlick.errors import InvalidInput, Problem
from saltlick.release.journal.record import ReleaseRecord, Result
from saltlick.release.planning.server_health import observe_servers
from saltlick.release.report import history as past
from saltlick.release.report import lines
from saltlick.release.report import status as now
from saltlick.release.report.watch import frame, new_lines
from saltlick.salt_io.progress import colour_wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from saltlick.release.journal.store import Journal

SHORTEST_S = 0.1


def status(opts: Mapping[str, Any], name: object) -> CommandResult:
    """What each server runs now, how well, and who has the lock."""
    subject = release_target(opts, name)
    environment = subject.environment.name
    with release_context(opts, environment, subject.recipe, environment=subject.environment) as on:
        seen = observe_servers(subject.recipe, environment, subject.servers, on)
        last = on.journal.latest(environment, subject.recipe.application)
    desk = environment_locks(opts)
    holder = desk.read(environment)
    lock = f"{holder}{' (stale: its process is gone)' if desk.stale(holder) else ''}" if holder else ""
    at = time.time()
    return CommandResult(
        now.data(environment, seen, now=at, lock=lock, last=last),
        lambda colour: now.text(environment, seen, now=at, lock=lock, last=last, colour=colour),
    )


def history(opts: Mapping[str, Any], name: object, *, limit: object = 20) -> CommandResult:
    """Releases of the past, newest first."""
    environment, most = single_environment(opts, name), int(number_argument("limit", limit))
    with open_journal(opts) as journal:
        records = journal.history(environment, limit=most or -1)
    at = time.time()
    told = {"environment": environment, "releases": past.table_data(records, now=at)}
    return CommandResult(told, lambda colour: past.table(records, colour=colour, zone=local_zone(), now=at))


def show(opts: Mapping[str, Any], name: object, *, steps: object = True) -> CommandResult:
    """One release, by its id or (an environment's name) the latest one."""
    with open_journal(opts) as journal:
        record = _wanted(opts, journal, name)
    at, where = time.time(), write_page(opts, record)
    told = {**past.show_data(record, now=at), "page": where}
    if not flag_argument("steps", steps):
        record = replace(record, steps=())
        del told["steps"]
    return CommandResult(
        told, lambda colour: f"{past.show(record, colour=colour, zone=local_zone(), now=at)}\nPage: {where}"
    )


def watch(opts: Mapping[str, Any], name: object, *, interval_s: object = 0.5) -> CommandResult:
    """Follow a release until it is over; what it says then is the answer."""
    pause_s = max(number_argument("interval_s", interval_s), SHORTEST_S)
    with open_journal(opts) as journal:
        wanted = _wanted(opts, journal, name).id

        def look() -> ReleaseRecord:
            record = journal.read(wanted)
            assert record is not None  # the journal forgets nothing
            return record

        follow = _screen if sys.stderr.isatty() else _lines
        record = follow(opts, look, pause_s)
    return CommandResult(past.brief(record), lambda colour: lines.summary(record, colour=colour))


def _screen(opts: Mapping[str, Any], look: Callable[[], ReleaseRecord], pause_s: float) -> ReleaseRecord:
    """Frame after frame in one place."""
    console = Console(file=sys.stderr, no_color=not colour_wanted(opts, sys.stderr))
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            record = look()
            live.update(frame(record, time.time(), height=console.height, zone=local_zone()), refresh=True)
            if record.result is not Result.RUNNING:
                return record
            time.sleep(pause_s)


def _lines(opts: Mapping[str, Any], look: Callable[[], ReleaseRecord], pause_s: float) -> ReleaseRecord:
    """A line for each step that is new."""
    colour, seen = colour_wanted(opts, sys.stderr), frozenset[tuple[int, bool]]()
    while True:
        record = look()
        told, seen = new_lines(record, seen, colour=colour, zone=local_zone())
        sys.stderr.writelines(f"{line}\n" for line in told)
        sys.stderr.flush()
        if record.result is not Result.RUNNING:
            return record
        time.sleep(pause_s)


def _wanted(opts: Mapping[str, Any], journal: Journal, name: object) -> ReleaseRecord:
    """A release by its id, or the one of an environment: what is under way there, else the latest.

    Raises: InvalidInput.
    """
    said = text_argument(opts, "name", name)
    if not said:
        raise InvalidInput([Problem("name", "name an environment or a release")], what="arguments")
    if found := journal.read(said):
        return found
    environment = single_environment(opts, said)
    found = journal.unfinished(environment) or next(iter(journal.history(environment, limit=1)), None)
    if found is None:
        raise InvalidInput([f"nothing was ever released in {environment} from this master"], what="release")
    return journal.read(found.id) or found
