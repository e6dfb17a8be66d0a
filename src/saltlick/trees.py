"""Where the trees are that a master serves or runs: `salt`, `orch`, `bootstrap`, in a checkout and in a wheel alike."""

from __future__ import annotations

from pathlib import Path

from saltlick.errors import InvalidInput

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent.parent


def tree(name: str) -> Path:
    """The folder of one tree (`tree("salt")` is what belongs into a master's `file_roots`).

    Raises: InvalidInput when there is no such tree.
    """
    found = next((path for path in _candidates(name) if path.is_dir()), None)
    if found is None:
        raise InvalidInput([f"no tree named {name} in {PACKAGE} or {CHECKOUT}"], what="trees")
    return found


def _candidates(name: str) -> tuple[Path, ...]:
    inside = PACKAGE / "_tree" / name
    return (inside, CHECKOUT / name) if (CHECKOUT / "pyproject.toml").is_file() else (inside,)
