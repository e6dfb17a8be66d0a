"""Tells Salt where the loader folders are, in a checkout and in an installed wheel alike.

The entry point is a callable because the loader joins a plain package's path with `runners`, and in a checkout the
folder is `_runners`: an editable install would load nothing and say nothing.
"""

from __future__ import annotations

from pathlib import Path

LOADER_TYPES = ("modules", "output", "runners", "states")

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent.parent


def dirs() -> dict[str, list[str]]:
    """Loader type to the folders that hold it, for the `salt.loader` entry point group."""
    directories = {kind: [str(path) for path in _candidates(kind) if path.is_dir()][:1] for kind in LOADER_TYPES}
    return {kind: paths for kind, paths in directories.items() if paths}


def _candidates(kind: str) -> tuple[Path, ...]:
    inside = (PACKAGE / f"_{kind}", PACKAGE / kind)
    if (CHECKOUT / "pyproject.toml").is_file():
        return (*inside, CHECKOUT / f"_{kind}")
    return inside
