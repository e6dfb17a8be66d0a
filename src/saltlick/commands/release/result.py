"""How a release came out, as a command's answer: data for programs, a table for people, a code for shells, and a page."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saltlick.commands.job import state_folder
from saltlick.commands.result import CommandResult
from saltlick.commands.terminal import local_zone
from saltlick.release.journal.record import Result
from saltlick.release.report import history, lines, page, wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.release.journal.record import ReleaseRecord

NOTHING_TOUCHED = Result.REFUSED.exit_code


def release_result(opts: Mapping[str, Any], record: ReleaseRecord) -> CommandResult:
    """The answer of whatever ran a release; its page is written first."""
    path = write_page(opts, record)
    result = {**history.show_data(record, now=time.time()), "page": path}
    del result["steps"]  # `release.show` has them
    code = record.result.exit_code
    if code:
        result["error"] = " ".join(filter(None, (wording.headline(record), record.reason)))
    return CommandResult(result, lambda colour: _text(record, path, colour), code)


def write_page(opts: Mapping[str, Any], record: ReleaseRecord) -> str:
    """Write the page of a release, whole and at once; returns its path, empty where the disk takes none."""
    path = page_path(opts, record.id)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(page.html(record, now=time.time(), zone=local_zone()), "utf-8")
        new.replace(path)
    except OSError:
        return ""
    return str(path)


def page_path(opts: Mapping[str, Any], release: str) -> Path:
    """Where the page of a release is."""
    return state_folder(opts) / "releases" / f"{release}.html"


def _text(record: ReleaseRecord, path: str, colour: bool) -> str:
    summary = lines.summary(record, colour=colour, now=time.time())
    return f"{summary}\nPage: {path}" if path else summary
