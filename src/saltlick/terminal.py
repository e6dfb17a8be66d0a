"""Text for terminals, rendered by rich: the one renderer of all tables and coloured lines."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import zip_longest

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from saltlick.words import clean, one_line

STYLES: Mapping[str, str] = {
    "+": "green",
    "~": "yellow",
    "±": "magenta",
    "-": "red",
    "!": "yellow",
    "?": "cyan",
    "✗": "red",
    "…": "yellow",
    "dim": "dim",
    "bold": "bold",
}
"""The style of each mark: `+` created or good, `~` changed, `±` replaced or back, `-` deleted, `!` a warning, `?` not known or
not ours, `✗` failed, `…` under way. A mark that is not here has no style."""
WIDTH = 1_000_000
"""Lines are never wrapped or cut: output that is piped or searched keeps one fact per line, however long."""

Painter = Callable[[str, str], str]
"""Takes a mark and text."""


def painter(colour: bool) -> Painter:
    """What puts text in the style of a mark; without colour, the text as it is. Either way the text is clean."""
    return partial(_paint, colour)


def _paint(colour: bool, mark: str, text: str) -> str:
    if not colour or mark not in STYLES:
        return clean(text)
    return _style(mark).render(clean(text), color_system=ColorSystem.STANDARD)


@cache
def _style(mark: str) -> Style:
    return Style.parse(STYLES[mark])


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    marks: Sequence[str] = (),
    right: Sequence[int] = (),
    colour: bool = False,
) -> list[str]:
    """The lines of a table without borders: heads (dim; none where `heads` is empty), then a row per line.

    `marks` has the mark of each row, `right` the columns that are aligned right. Cells are single lines.
    """
    if not heads and not rows:
        return []
    grid = Table(box=None, show_header=bool(heads), pad_edge=False, padding=(0, 2, 0, 0))
    for number, head in enumerate(heads or rows[0]):
        grid.add_column(Text(head), justify="right" if number in right else "left", no_wrap=True)
    for row in rows:
        grid.add_row(
            *(Text(one_line(cell).expandtabs()) for cell in row)
        )  # rich measures a tab narrower than it prints it
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, highlight=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(grid)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    paint = painter(colour)
    head_lines = [paint("dim", lines[0])] if heads else []
    body = lines[1:] if heads else lines
    return head_lines + [paint(mark, line) for mark, line in zip_longest(marks, body, fillvalue="")]
