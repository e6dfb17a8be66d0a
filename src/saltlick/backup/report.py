"""What the commands say about backups: data for programs, tables for people. Functions over values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.freshness import FreshnessResult, span
from saltlick.backup.restores import Restored
from saltlick.backup.run import BackupResult
from saltlick.backup.verify import Verified
from saltlick.terminal import painter, table


def size(count: float) -> str:
    """Bytes for people: `1.2 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def backup_data(backup: Backup) -> dict[str, Any]:
    """JSON-able."""
    return {
        **{
            name: getattr(backup, name)
            for name in ("id", "job", "kind", "mode", "base", "server", "role", "size", "raw_size", "why")
        },
        "began": f"{backup.began:%Y-%m-%dT%H:%M:%SZ}",
        "ended": f"{backup.ended:%Y-%m-%dT%H:%M:%SZ}",
        "reaches": f"{backup.reaches:%Y-%m-%dT%H:%M:%S.%fZ}",
        "seconds": dict(backup.seconds),
        "versions": dict(backup.versions),
    }


def taken_data(taken: BackupResult) -> dict[str, Any]:
    """JSON-able."""
    return {
        **backup_data(taken.backup),
        "deleted": list(taken.deleted),
        "warning": taken.warning,
        "unseen": dict(taken.unseen),
    }


def taken_text(taken: Sequence[BackupResult], failed: Mapping[str, str], colour: bool) -> str:
    """A line per job."""
    paint = painter(colour)
    lines = []
    for result in taken:
        backup, seconds = result.backup, sum(result.backup.seconds.values())
        role = f" ({backup.role})" if backup.role else ""
        line = f"{backup.job}: {backup.id}, {size(backup.size)} of {size(backup.raw_size)} in {seconds:.1f} s"
        line += f", from {backup.server}{role}"
        line += f"; a full one, because {backup.why}" if backup.why else ""
        line += f"; {_count(len(result.deleted), 'old one')} deleted" if result.deleted else ""
        lines.append(line)
        if result.warning:
            lines.append(paint("!", f"{backup.job}: {result.warning}"))
        lines += [paint("!", f"{backup.job}: {server} was not seen: {why}") for server, why in result.unseen.items()]
    return "\n".join([*lines, *(paint("✗", f"{job}: {error}") for job, error in failed.items())])


def listed_text(catalogues: Mapping[str, Catalogue | str], colour: bool) -> str:
    """A table per job, newest first."""
    paint = painter(colour)
    tables = []
    for job, catalogue in catalogues.items():
        if isinstance(catalogue, str):
            tables.append(paint("✗", f"{job}: {catalogue}"))
            continue
        rows = [
            (
                backup.id,
                backup.mode,
                size(backup.size),
                size(backup.raw_size),
                f"{sum(backup.seconds.values()):.1f} s",
                f"{backup.reaches:%Y-%m-%d %H:%M:%S}",
                backup.server,
            )
            for backup in reversed(catalogue.backups)
        ]
        notes = [f"{backup_id}: unfinished" for backup_id in catalogue.unfinished] + [
            f"{backup_id}: its manifest cannot be read" for backup_id in catalogue.unreadable
        ]
        head = ("backup", "mode", "size", "data", "took", "reaches (UTC)", "from")
        tables.append(
            "\n".join([f"{job}: {_count(len(rows), 'backup')}", *table(head, rows, colour=colour), *notes])
            if rows or notes
            else f"{job}: no backup"
        )
    return "\n\n".join(tables)


def verified_text(verified: Mapping[str, Sequence[Verified]], colour: bool) -> str:
    """A line per backup."""
    paint = painter(colour)
    lines = []
    for job, backups in verified.items():
        for backup in backups:
            outcome = "; ".join(backup.problems) or "as it was written"
            line = f"{job}/{backup.backup}: {outcome}"
            lines.append(paint("✗", line) if backup.problems else line)
    return "\n".join(lines)


def verdict_data(verdict: FreshnessResult, since: float | None) -> dict[str, Any]:
    """JSON-able. `since` is when it turned red, in seconds since the epoch."""
    newest = backup_data(verdict.newest) if verdict.newest else None
    return {
        "job": verdict.job,
        "fresh": verdict.fresh,
        "seen": not verdict.unseen,
        "age_s": verdict.age_s,
        "since": since,
        "reasons": list(verdict.reasons),
        "unknown": list(verdict.unknown),
        "next": list(verdict.next_commands),
        "newest": newest,
    }


def verdicts_text(
    environment: str, verdicts: Sequence[FreshnessResult], since: Mapping[str, float], colour: bool
) -> str:
    """A line for the environment, which is all that a monitor shows; then a line per job, with what is red about it below."""
    paint = painter(colour)
    red = [verdict for verdict in verdicts if not verdict.fresh]
    lines = [paint("✗" if red else "+", f"{environment}: {_summary(verdicts, red)}")]
    for verdict in verdicts:
        began = f", red since {_utc(since[verdict.job])}" if verdict in red and verdict.job in since else ""
        lines.append(f"  {paint('+' if verdict.fresh else '✗', f'{verdict.job}: {_safe(verdict)}{began}')}")
        lines += [f"      {reason}" for reason in verdict.reasons]
        lines += [f"      it is not known {unknown}" for unknown in verdict.unknown]
        lines += [f"      next: {command}" for command in verdict.next_commands]
    return "\n".join(lines)


def _summary(verdicts: Sequence[FreshnessResult], red: Sequence[FreshnessResult]) -> str:
    """`fresh`, or what is red; what cannot be seen is named apart from what is known to be wrong."""
    unseen = [verdict.job for verdict in red if verdict.unseen]
    wrong = [verdict.job for verdict in red if not verdict.unseen]
    if not red:
        oldest = max((verdict.age_s for verdict in verdicts if verdict.age_s is not None), default=0.0)
        return f"all {len(verdicts)} backup jobs are fresh, safe up to {span(oldest)} ago"
    parts = [f"RED: {', '.join(wrong)}"] if wrong else []
    parts += [f"CANNOT BE SEEN: {', '.join(unseen)}"] if unseen else []
    return f"{'; '.join(parts)} ({len(verdicts) - len(red)} of {len(verdicts)} backup jobs are fresh)"


def _safe(verdict: FreshnessResult) -> str:
    if verdict.unseen:
        return "it cannot be seen what is safe"
    return f"safe up to {span(verdict.age_s)} ago" if verdict.age_s is not None else "nothing is safe"


def _utc(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def restored_data(restored: Restored) -> dict[str, Any]:
    """JSON-able."""
    return {
        "server": restored.server,
        "backups": [backup.id for backup in restored.chain],
        "reached": restored.reached,
        "checks": [dict(check) for check in restored.checks],
        "seconds": dict(restored.seconds),
        "kept": dict(restored.kept),
        "notes": list(restored.notes),
    }


def restored_text(restored: Restored, verb: str) -> str:
    """What is where now, and how it was proved."""
    took = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in restored.seconds.items())
    lines = [f"{verb} {' + '.join(backup.id for backup in restored.chain)} on {restored.server}: {took}"]
    lines += [f"    the last transaction is of {restored.reached}"] if restored.reached else []
    lines += [f"    {check['name']}: {check.get('value', '')}" for check in restored.checks]
    lines += [f"    what was there before: {server}:{path}" for server, path in restored.kept.items() if path]
    lines += [f"    note: {note}" for note in restored.notes]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
