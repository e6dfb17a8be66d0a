"""Text for terminals, rendered by rich: the one renderer of all tables and coloured lines."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 10_000
"""Lines are never wrapped: output that is piped or searched keeps one fact per line."""


@cache
def _console(colour: bool) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=colour,
        color_system="standard" if colour else None,
        width=WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def render(renderable: RenderableType, *, colour: bool) -> str:
    """The text of anything that rich can print, without trailing blanks and without the last line end."""
    console = _console(colour)
    with console.capture() as capture:
        console.print(renderable, soft_wrap=True)
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def paint(style: str, text: str, *, colour: bool) -> str:
    """One piece of text in a style of rich's (`bold`, `red`, `dim`)."""
    return render(Text(text, style), colour=colour) if colour else text


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str | Text]], *, colour: bool, right: Sequence[int] = ()
) -> str:
    """A table without borders: dim heads, a row per line; the columns in `right` are aligned right."""
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=bool(heads))
    for number, head in enumerate(heads):
        grid.add_column(Text(head), justify="right" if number in right else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return render(grid, colour=colour)
