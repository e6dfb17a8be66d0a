"""Tables on a terminal keep every cell whole."""

from __future__ import annotations

import pytest

from saltlick import terminal


@pytest.mark.parametrize("cell", ["a\tb", "x" * 50_000, "[red]x[/red] :smile:", "c:\\dir\\"])
def test_a_cell_is_printed_whole(cell):
    [head, row] = terminal.table(("server", "detail"), [("prod-app-1", cell)])
    assert head == "server      detail"
    assert row == f"prod-app-1  {cell.expandtabs()}"
