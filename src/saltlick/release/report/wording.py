"""A release in words: durations, revisions, how it came out, and what to do next. Everything people read says it with these."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone, tzinfo

from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord
from saltlick.release.report.timeline import left_outside
from saltlick.words import clean as clean

UTC = timezone.utc
_NUMBER = re.compile(r"^\d+ (?=\S)")
NAMED = 6
"""So many servers are named in a sentence; of more, the rest is counted. Those out of traffic are always named, each."""

PHASES: Mapping[Phase, str] = {
    Phase.PREFLIGHT: "pre-flight",
    Phase.HOOK: "hook",
    Phase.BUILD: "build",
    Phase.ONCE: "once",
    Phase.DRAIN: "drain",
    Phase.STOP: "stop",
    Phase.ACTIVATE: "activate",
    Phase.START: "start",
    Phase.HEALTH: "health",
    Phase.RESTORE: "restore",
    Phase.WAIT: "wait",
    Phase.FINISH: "finish",
}


def short(sha: str) -> str:
    """A revision as people write it; `nothing` where there was none."""
    return sha[:7] or "nothing"


def took(seconds: float) -> str:
    """A duration: `0.4 s`, `12 s`, `4 m 12 s`, `1 h 02 m`, `3 d 4 h`."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def clock(when: float, zone: tzinfo = UTC) -> str:
    """The time of day."""
    return datetime.fromtimestamp(when, zone).strftime("%H:%M:%S")


def day(when: float, zone: tzinfo = UTC) -> str:
    """The date and the time of day, to the minute."""
    return datetime.fromtimestamp(when, zone).strftime("%Y-%m-%d %H:%M")


def zone_name(when: float, zone: tzinfo = UTC) -> str:
    """What that time zone is called then."""
    return datetime.fromtimestamp(when, zone).strftime("%Z")


def count(number: int, noun: str) -> str:
    """`1 server`, `2 servers`, `3 batches`."""
    plural = f"{noun}es" if noun.endswith(("ch", "s")) else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in clean(text).splitlines() if line.strip()), "")


def names(servers: Sequence[str], *, all_of_them: bool = False) -> str:
    """`a, b and c`; of many the first few and how many more."""
    shown = list(servers if all_of_them or len(servers) <= NAMED + 1 else servers[:NAMED])
    if len(shown) < len(servers):
        shown.append(f"{len(servers) - len(shown)} more")
    return " and ".join(part for part in (", ".join(shown[:-1]), "".join(shown[-1:])) if part)


def standing_on(record: ReleaseRecord, server: ServerRecord) -> str:
    """The revision (SHA) a server is on as far as the journal can say; empty when it cannot."""
    if server.standing is ServerStatus.DONE:
        return record.sha
    if server.standing in (ServerStatus.WAITING, ServerStatus.UNDONE, ServerStatus.SKIPPED):
        return server.previous
    return ""


def batches(record: ReleaseRecord) -> int:
    """How many batches there are."""
    return max((server.batch for server in record.servers), default=0)


def previous(record: ReleaseRecord) -> Mapping[str, int]:
    """The revisions the servers came from, the commonest first, and how many servers each."""
    counts: dict[str, int] = {}
    for server in record.servers:
        counts[server.previous] = counts.get(server.previous, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def from_to(record: ReleaseRecord) -> str:
    """`a1b2c3d → f5d9859`, or how many revisions it was before."""
    before = list(previous(record))
    origin = short(before[0]) if len(before) == 1 else f"{len(before)} revisions" if before else "?"
    return f"{origin} → {short(record.sha)}"


def failed(record: ReleaseRecord) -> tuple[StepRecord, ...]:
    """The steps that failed, in order; hooks after the fact only warn, but are among them."""
    return tuple(step for step in record.steps if step.ok is False)


def not_undone(record: ReleaseRecord) -> tuple[str, ...]:
    """The once steps that took place and were not taken back, of a release that was."""
    if record.result not in (Result.ROLLED_BACK, Result.STUCK):
        return ()
    back = {step.name for step in record.steps if step.phase is Phase.ONCE and step.undo and step.ok}
    there = (step for step in record.steps if step.phase is Phase.ONCE and not step.undo and step.ok)
    return tuple(dict.fromkeys(step_name(step) for step in there if step.name not in back))


def step_name(step: StepRecord) -> str:
    """A step's name for people: without the number that tells once steps of one name apart."""
    name = first_line(step.name)
    return _NUMBER.sub("", name) if step.phase is Phase.ONCE else name


def headline(record: ReleaseRecord) -> str:
    """How it came out, in one sentence; whoever is out of traffic is named in it."""
    rest = _rest(record)
    return f"{_outcome(record)}{f'; {rest}' if rest else ''}."


def _outcome(record: ReleaseRecord) -> str:
    total, sha = len(record.servers), short(record.sha)
    done = sum(server.standing is ServerStatus.DONE for server in record.servers)
    where = f"{count(total, 'server')} of {record.environment}"
    whole_group = {1: f"The server of {record.environment}", 2: f"Both servers of {record.environment}"}.get(
        total, f"All {where}"
    )
    some = f"{done} of {where} {'runs' if done == 1 else 'run'} {sha}"
    what = f"The {'rollback' if record.rollback else 'release'} of {sha}"
    if record.result is Result.DONE:
        return f"{whole_group} {'runs' if total == 1 else 'run'} {sha}" if done == total else some
    if record.result is Result.ROLLED_BACK:
        return f"{what} failed{_undone(record)}"
    sentences = {
        Result.UNCHANGED: f"{whole_group} had {sha} already; nothing was touched",
        Result.PARTIAL: some,
        Result.REFUSED: f"{what} was refused before anything was touched",
        Result.STUCK: f"{what} failed and could not be taken back everywhere",
    }
    return sentences.get(record.result) or f"{_under_way(record)}: {some}"


def _under_way(record: ReleaseRecord) -> str:
    if any(step.undo for step in record.steps):
        return "Undoing"
    stage = max((step.batch for step in record.steps), default=0)
    return f"Running, batch {stage} of {batches(record)}" if stage else "Running"


def _undone(record: ReleaseRecord) -> str:
    undone = [server.name for server in record.servers if server.standing is ServerStatus.UNDONE]
    if len(undone) == 1:
        return f"; {undone[0]} is back on what it ran before"
    if undone:
        whom = f"{len(undone)} servers" if left_outside(record) else f"the {len(undone)} servers it had touched"
        return f"; {whom} are back on what each ran before"
    return "" if left_outside(record) else " before a server had it; all run what they ran before"


def _rest(record: ReleaseRecord) -> str:
    """The servers that are not as they should be."""
    outside = left_outside(record)
    skipped = [server.name for server in record.servers if server.standing is ServerStatus.SKIPPED]
    parts = []
    if outside:
        parts.append(f"out of traffic: {names(outside, all_of_them=True)}")
    if skipped:
        parts.append(f"skipped, as before and in traffic: {names(skipped)}")
    return "; ".join(parts)


def advice(record: ReleaseRecord) -> tuple[str, ...]:
    """What to do next, a sentence each; the first is the one for the closing line."""
    env, outside = record.environment, left_outside(record)
    look, again = f"salt-run release.show {record.id}", f"salt-run release.rolling {env} rev={short(record.sha)}"
    once = not_undone(record)
    loud = (
        (f"Not undone, since no undo is given for it: {', '.join(once)}. Check what it left behind.",) if once else ()
    )
    if record.result is Result.DONE:
        return (f"To go back: salt-run release.rollback {env}",)
    if record.result is Result.UNCHANGED:
        return (f"To do it all the same: {again} force=True",)
    if record.result is Result.REFUSED:
        return ("Mend what it says, then give the same command again; this release touched nothing.",)
    if record.result is Result.PARTIAL:
        if not outside:
            return (f"When they may have it too: {again}",)
        return (f"Mend {names(outside, all_of_them=True)} ({look} says what failed), then: {again}",)
    if record.result is Result.ROLLED_BACK:
        if not outside:
            return (f"Put the revision right and release that; what failed: {look}", *loud)
        answer = f"{names(outside, all_of_them=True)} {'answers' if len(outside) == 1 else 'answer'}"
        return (
            f"When {answer} again, to go back there as well ({look} says what failed): salt-run release.resume {env}",
            f"To release again, which brings back whoever answers: {again}",
            *loud,
        )
    if record.result is Result.STUCK:
        whom = names(outside, all_of_them=True) or "the servers"
        return (
            f"{env} stays locked. Look at {whom} ({look}), then: salt-run release.resume {env}",
            f"To give it up and release over it: salt-run release.unlock {env} force=True, then {again} force=unfinished",
            *loud,
        )
    return (f"To look on: salt-run release.watch {env}; if nobody runs it any more: salt-run release.resume {env}",)
