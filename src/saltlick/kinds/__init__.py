"""Every kind of AWS object that Saltlick knows, one per file. A new kind is a new file; nothing else names it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping

from saltlick.engine.resource import Kind

__all__ = ["KINDS"]


def _kinds() -> Iterator[Kind]:
    for module_name in sorted(module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.")):
        module = importlib.import_module(module_name)
        for _, member in inspect.getmembers(module, inspect.isclass):
            if issubclass(member, Kind) and member.__module__ == module_name and not inspect.isabstract(member):
                yield member()


KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _kinds()}
"""Kind by name."""
