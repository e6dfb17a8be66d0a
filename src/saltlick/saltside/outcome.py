"""How a release came out, as a command's answer: data for programs, a table for people, a code for shells, and a page."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saltlick.release import history, lines, page, words
from saltlick.release.record import Result
from saltlick.saltside.answer import Answer
from saltlick.saltside.subject import folder
from saltlick.saltside.teller import local_zone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.release.record import ReleaseRecord

NOTHING_TOUCHED = Result.REFUSED.exit_code


def outcome(opts: Mapping[str, Any], record: ReleaseRecord) -> Answer:
    """The answer of whatever ran a release; its page is written first."""
    where = write_page(opts, record)
    told = {**history.show_data(record, now=time.time()), "page": where}
    del told["steps"]  # `release.show` has them
    code = record.result.exit_code
    if code:
        told["error"] = " ".join(filter(None, (words.headline(record), record.reason)))
    return Answer(told, lambda colour: _text(record, where, colour), code)


def write_page(opts: Mapping[str, Any], record: ReleaseRecord) -> str:
    """Write the page of a release, whole and at once; returns its path, empty where the disk takes none."""
    where = page_path(opts, record.id)
    try:
        where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = where.with_suffix(f".{os.getpid()}")
        new.write_text(page.html(record, now=time.time(), zone=local_zone()), "utf-8")
        new.replace(where)
    except OSError:
        return ""
    return str(where)


def page_path(opts: Mapping[str, Any], release: str) -> Path:
    """Where the page of a release is."""
    return folder(opts) / "releases" / f"{release}.html"


def _text(record: ReleaseRecord, where: str, colour: bool) -> str:
    said = lines.summary(record, colour=colour, now=time.time())
    return f"{said}\nPage: {where}" if where else said
