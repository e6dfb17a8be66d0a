"""A minion's execution modules, loaded by Salt's own loader through module_dirs, with no package installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import salt.config
import salt.loader

ROOT = Path(__file__).resolve().parents[2]


def modules(folder: Path, *names: str, **more: Any) -> Any:
    """The functions of these modules by name; the minion's own files lie in `folder`, `more` is of its configuration."""
    opts = salt.config.DEFAULT_MINION_OPTS.copy()
    opts.update(
        file_client="local",
        id="test",
        root_dir=str(folder),
        cachedir=str(folder / "cache"),
        extension_modules=str(folder / "extmods"),
        module_dirs=[str(ROOT)],
        grains={},
    )
    opts.update(more)
    return salt.loader.minion_mods(opts, whitelist=[*names])


def commands(name: str) -> set[str]:
    """What of a module is a command."""
    opts = salt.config.DEFAULT_MINION_OPTS.copy()
    return {
        found
        for found in salt.loader.LazyLoader([str(ROOT / "_modules")], opts, tag="module")
        if found.startswith(f"{name}.")
    }
