"""The reference estate's pillar as plain data, and ways to spoil it."""

from __future__ import annotations

import pickle
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
CASES = CHECKOUT / "tests" / "cases" / "pillar"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def pillar(environment: str) -> dict[str, Any]:
    """What the checkout's pillar says of one environment. Shared: change copies only, with `changed`."""
    return read(CHECKOUT / "pillar" / environment / "environment.sls")


def changed(raw: dict[str, Any], change: dict[str, Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """A copy with values put at paths like `subnets.private.cidrs[1]`, and others taken out."""
    made = pickle.loads(pickle.dumps(raw))  # a deep copy, and a quicker one than copy's
    for path, value in change.items():
        inside, last = spot(made["environment"], path)
        if isinstance(inside, list) and last == len(inside):
            inside.append(value)
        else:
            inside[last] = value
    for path in without:
        inside, last = spot(made["environment"], path)
        del inside[last]
    return made


def cases(name: str) -> Any:
    """The cases of one file: a list, or a mapping by name."""
    return read(CASES / f"{name}.yaml")


@cache
def read(path: Path) -> Any:
    """A file of plain YAML. Shared: change copies only."""
    return yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def spot(inside: Any, path: str) -> tuple[Any, Any]:
    """What holds the last step of a path, and that step."""
    *way, last = [int(place) if place else name for name, place in _STEP.findall(path)]
    for step in way:
        inside = inside.setdefault(step, {}) if isinstance(inside, dict) else inside[step]
    return inside, last
