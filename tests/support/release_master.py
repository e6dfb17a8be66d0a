"""A master with an environment and its recipe, and releases written into its journal."""

from __future__ import annotations

import json
from typing import Any

from support.commands import run_typed

from saltlick.commands.release.context import open_journal, release_target
from saltlick.jobs.lock import Locks
from saltlick.release.journal.record import Phase, ReleaseRecord, ServerRecord, StepRecord

ENVIRONMENT = """
environment:
  name: one
  region: us-east-1
  cidr: 10.61.0.0/16
  zones: [us-east-1a]
  image: {id: ami-12c6146b}
  subnets: {public: {cidrs: [10.61.0.0/24]}}
  firewall: {app: [{from: world, tcp: 80}]}
  servers: {app: {count: 2, type: t3.small, subnet: public, firewall: app}}
  salt: {master: 127.0.0.1}
"""
RECIPE = """
release:
  application: shop
  servers: app
  source: {repository: /nowhere.git, directory: /srv/app}
  health: {checks: [{tcp: "127.0.0.1:9"}]}
"""
SHA = "f5d98594c2a7e0b1d3f6a8895c4e7b2013d6fa48"
PREFLIGHT = StepRecord(number=1, phase=Phase.PREFLIGHT, name="preflight", started=1.0, ended=2.0, ok=True)


def record(**how: Any) -> ReleaseRecord:
    whole = {
        "id": "one-20261122T140311Z-f5d9859", "environment": "one", "application": "shop", "group": "app", "strategy": "prepared",
        "rev": "main", "sha": SHA, "who": "ann", "host": "master", "job": "41", "started": 1795356191.0,
        "servers": (ServerRecord(name="one-app-1", batch=1), ServerRecord(name="one-app-2", batch=2)),
        "steps": (PREFLIGHT,),
    }  # fmt: skip
    return ReleaseRecord(**{**whole, **how})


def written(master, **how: Any) -> ReleaseRecord:
    """A release in the journal."""
    made = record(**how)
    with open_journal(master.opts) as journal:
        journal.open(made, recipe=release_target(master.opts, "one").recipe.model_dump_json())
    return made


def locks(master) -> Locks:
    return Locks(folder=master.folder / "var/cache/salt/master/saltlick/locks", user="bob")


def dead(master, job: str) -> None:
    """A lock whose process is gone."""
    there = locks(master)
    taken = there.take("one", reason="release", job=job)
    path = there.folder / "one.json"
    path.write_text(json.dumps({**taken.holder.as_data(), "process": {"pid": 2**22 + 1, "started": "long ago"}}))


def code(command: Any, opts: Any, name: str, **typed: Any) -> tuple[int, str]:
    answer = run_typed(command, opts, name, **typed)
    return answer.retcode, str(answer.result.get("error", ""))
