"""A re-check takes as many calls for a wide environment as for a small one, and changes nothing in either."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.farm import farm

from bench.wide import wide_pillar

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (50, 130)
"""Both within one page of moto's answers; AWS's pages hold a thousand."""


def recheck_calls(folder: Path, size: int) -> dict[str, int]:
    """Build one environment of so many objects, look at it again, and return the calls of that look."""
    wide_pillar(folder / "pillar", size)
    with farm(folder / "salt", pillars=folder / "pillar") as account:
        built = account.command("apply", "wide")
        assert built.result["counts"]["create"] == size
        account.command("apply", "wide")
        assert account.changing_calls() == {}
        return dict(account.stats()["by_operation"])


def test_calls_of_a_recheck_do_not_grow_with_the_environment(tmp_path: Path) -> None:
    small, wide = (recheck_calls(tmp_path / str(size), size) for size in SIZES)
    assert wide == small
    assert sum(wide.values()) <= 20
