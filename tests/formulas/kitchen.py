"""kitchen.yml as pytest reads it: the suites, with what each finds on its server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Suite:
    """One suite: `pillars` by file name, `volumes` from folders here to folders on the server, `prepare` run there first."""

    name: str
    pillars: dict[str, Any]
    volumes: dict[Path, str]
    prepare: str

    @property
    def pillar(self) -> dict[str, Any]:
        """What the server of this suite sees as its pillar."""
        found: dict[str, Any] = self.pillars["suite.sls"]
        return found


def suites() -> dict[str, Suite]:
    """Every suite of kitchen.yml by name."""
    kitchen = yaml.safe_load((ROOT / "kitchen.yml").read_text())
    return {entry["name"]: _suite(kitchen, entry) for entry in kitchen["suites"]}


def _suite(kitchen: dict[str, Any], entry: dict[str, Any]) -> Suite:
    provisioner = {**kitchen["provisioner"], **entry["provisioner"]}
    return Suite(
        name=entry["name"],
        pillars=provisioner["pillars"],
        volumes=dict(_volume(text) for text in kitchen["driver"]["volume"]),
        prepare=provisioner["init_environment"],
    )


def _volume(text: str) -> tuple[Path, str]:
    source, target, _mode = text.replace("<%= Dir.pwd %>", str(ROOT)).split(":")
    return Path(source), target
