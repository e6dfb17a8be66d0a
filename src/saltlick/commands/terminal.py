"""What an operator's terminal shows: colour or none, and whose time of day."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping


def colour_wanted(opts: Mapping[str, Any], stream: TextIO) -> bool:
    """As Salt decides: `--force-color`, `--no-color`, else whether the stream is a terminal."""
    if opts.get("force_color"):
        return True
    return not opts.get("no_color") and stream.isatty()


def local_zone() -> tzinfo:
    """The time zone of this master, in which operators read times."""
    return datetime.now().astimezone().tzinfo or timezone.utc
