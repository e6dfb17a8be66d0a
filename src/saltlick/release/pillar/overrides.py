"""What an operator says at the command line in place of the recipe, put into the raw pillar so that one check reads both."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saltlick.release.pillar.amounts import as_list


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Arguments of `release.rolling` that change the recipe; None: as the pillar says."""

    batch: Any = None
    canary: Any = None
    """The size of the first batch: takes the place of the first of several, and stands before a single one."""
    group: Any = None
    pause: Any = None


def override(raw: Mapping[str, Any], overrides: Overrides) -> tuple[Mapping[str, Any], dict[str, str]]:
    """The raw recipe as asked for, and which argument each changed part (`strategy.batch`) now comes from."""
    made = copy.deepcopy(dict(raw))
    given: dict[str, str] = {}
    if overrides.group is not None:
        made["servers"], given["servers"] = overrides.group, "group"
    strategy = made.get("strategy") or {}
    if not isinstance(strategy, dict):  # a problem of its own, which the models tell
        return made, given
    if overrides.batch is not None:
        strategy["batch"], given["strategy.batch"] = overrides.batch, "batch"
    if overrides.canary is not None:
        strategy["batch"] = [overrides.canary, *_rest(strategy.get("batch", "100%"))]
        given["strategy.batch[0]"] = "canary"
    if overrides.pause is not None:
        strategy["pause"], given["strategy.pause"] = overrides.pause, "pause"
    if given.keys() - {"servers"}:
        made["strategy"] = strategy
    return made, dict(sorted(given.items(), key=lambda pair: -len(pair[0])))


def _rest(batch: Any) -> list[Any]:
    sizes = list(as_list(batch))
    return sizes[1:] if len(sizes) > 1 else sizes
