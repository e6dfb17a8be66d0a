"""What is said of refreshes: data for programs, lines for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from saltlick.refresh.record import Refreshed, RefreshPhase


def data(refreshed: Refreshed) -> dict[str, Any]:
    """JSON-able."""
    return {
        "source": refreshed.source,
        "target": refreshed.target,
        "who": refreshed.who,
        "phase": refreshed.phase.value,
        "began": f"{refreshed.began:%Y-%m-%dT%H:%M:%SZ}",
        "changed": f"{refreshed.changed:%Y-%m-%dT%H:%M:%SZ}",
        "seconds": round((refreshed.changed - refreshed.began).total_seconds(), 1),
        "why": refreshed.error,
        **{
            name: refreshed.result[name]
            for name in ("server", "backups", "reached", "checks", "kept", "notes")
            if name in refreshed.result
        },
    }


def text(refreshed: Refreshed) -> str:
    """What is where now, and how it was proved."""
    result = refreshed.result
    took = (refreshed.changed - refreshed.began).total_seconds()
    lines = [
        f"{refreshed.target} has the data of {refreshed.source}, up to {result.get('reached', 'its backup')}: {took:.0f} s"
    ]
    lines += [f"    {check['name']}: {check.get('value', '')}" for check in result.get("checks", ())]
    lines += [f"    what was there before: {result['server']}:{result['kept']}"] if result.get("kept") else []
    lines += [f"    note: {note}" for note in result.get("notes", ())]
    return "\n".join(lines)


def table(refreshes: Iterable[Refreshed]) -> str:
    """A line each."""
    words = {
        RefreshPhase.DONE: "done",
        RefreshPhase.FAILED: "failed",
        RefreshPhase.READY: "masked data ready, not exchanged",
        RefreshPhase.EXCHANGED: "data exchanged, not finished",
    }
    lines = [
        f"{refresh.began:%Y-%m-%d %H:%M:%S} UTC  {refresh.source} → {refresh.target}  {words.get(refresh.phase, 'not finished')}"
        f"{f'  {refresh.error}' if refresh.error else ''}"
        for refresh in refreshes
    ]
    return "\n".join(lines) or "there was none"
