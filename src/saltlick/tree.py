"""Finds the project's trees (`bootstrap`, `salt`, …): next to `src` in a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder of that name.

    Raises:
        FileNotFoundError: when neither a checkout nor an installed package has it.
    """
    places = (PACKAGE / "_tree" / name, PACKAGE.parents[1] / name)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"saltlick's folder {name} is in none of: {', '.join(map(str, places))}")
