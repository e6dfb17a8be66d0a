"""What the commands say about backups: data for programs, tables for people. Functions over values."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from saltlick.backup.catalogue import Backup, Catalogue
from saltlick.backup.freshness import FreshnessResult, span
from saltlick.backup.restores import Restored
from saltlick.backup.run import BackupResult
from saltlick.backup.verify import Verified

WIDTH = 160


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
    return {**backup_data(taken.backup), "deleted": list(taken.deleted), "warning": taken.warning}


def taken_text(taken: Sequence[BackupResult], failed: Mapping[str, str], colour: bool) -> str:
    """A line per job."""
    lines = []
    for each in taken:
        backup, seconds = each.backup, sum(each.backup.seconds.values())
        role = f" ({backup.role})" if backup.role else ""
        line = f"{backup.job}: {backup.id}, {size(backup.size)} of {size(backup.raw_size)} in {seconds:.1f} s"
        line += f", from {backup.server}{role}"
        line += f"; a full one, because {backup.why}" if backup.why else ""
        line += f"; {_count(len(each.deleted), 'old one')} deleted" if each.deleted else ""
        lines.append(line)
        if each.warning:
            lines.append(_coloured(f"{backup.job}: {each.warning}", "yellow", colour))
    return "\n".join([*lines, *(_coloured(f"{job}: {error}", "red", colour) for job, error in failed.items())])


def listed_text(catalogues: Mapping[str, Catalogue | str], colour: bool) -> str:
    """A table per job, newest first."""
    tables = []
    for job, catalogue in catalogues.items():
        if isinstance(catalogue, str):
            tables.append(_coloured(f"{job}: {catalogue}", "red", colour))
            continue
        rows = [
            (
                each.id,
                each.mode,
                size(each.size),
                size(each.raw_size),
                f"{sum(each.seconds.values()):.1f} s",
                f"{each.reaches:%Y-%m-%d %H:%M:%S}",
                each.server,
            )
            for each in reversed(catalogue.backups)
        ]
        notes = [f"{each}: unfinished" for each in catalogue.unfinished] + [
            f"{each}: its manifest cannot be read" for each in catalogue.unreadable
        ]
        head = ("backup", "mode", "size", "data", "took", "reaches (UTC)", "from")
        tables.append(
            "\n".join([f"{job}: {_count(len(rows), 'backup')}", _table(head, rows, colour), *notes])
            if rows or notes
            else f"{job}: no backup"
        )
    return "\n\n".join(tables)


def verified_text(verified: Mapping[str, Sequence[Verified]], colour: bool) -> str:
    """A line per backup."""
    lines = []
    for job, found in verified.items():
        for each in found:
            said = "; ".join(each.problems) or "as it was written"
            line = f"{job}/{each.backup}: {said}"
            lines.append(_coloured(line, "red", colour) if each.problems else line)
    return "\n".join(lines)


def verdict_data(verdict: FreshnessResult) -> dict[str, Any]:
    """JSON-able."""
    newest = backup_data(verdict.newest) if verdict.newest else None
    return {
        "job": verdict.job,
        "fresh": verdict.fresh,
        "age_s": verdict.age_s,
        "reasons": list(verdict.reasons),
        "newest": newest,
    }


def verdicts_text(verdicts: Iterable[FreshnessResult], colour: bool) -> str:
    """A line per job, with a line per reason to worry below."""
    lines = []
    for each in verdicts:
        age = f"safe up to {span(each.age_s)} ago" if each.age_s is not None else "nothing is safe"
        lines.append(_coloured(f"{each.job}: {age}", "green" if each.fresh else "red", colour))
        lines += [f"    {reason}" for reason in each.reasons]
    return "\n".join(lines)


def restored_data(restored: Restored) -> dict[str, Any]:
    """JSON-able."""
    return {
        "server": restored.server,
        "backups": [each.id for each in restored.chain],
        "reached": restored.reached,
        "checks": [dict(each) for each in restored.checks],
        "seconds": dict(restored.seconds),
        "kept": dict(restored.kept),
    }


def restored_text(restored: Restored, verb: str) -> str:
    """What is where now, and how it was proved."""
    took = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in restored.seconds.items())
    lines = [f"{verb} {' + '.join(each.id for each in restored.chain)} on {restored.server}: {took}"]
    lines += [f"    the last transaction is of {restored.reached}"] if restored.reached else []
    lines += [f"    {each['name']}: {each.get('value', '')}" for each in restored.checks]
    lines += [f"    what was there before: {server}:{path}" for server, path in restored.kept.items() if path]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], colour: bool) -> str:
    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=colour, no_color=not colour)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().strip("\n").splitlines())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _coloured(text: str, colour_name: str, colour: bool) -> str:
    code = {"red": 31, "green": 32, "yellow": 33}[colour_name]
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text
