"""Two environments with backups and a refresh of each other's data, and what the runners answer about them."""

from __future__ import annotations

import json
from typing import Any

from support.salt_master import CHECKOUT, Master

PILLAR = """
environment:
  name: {name}
  production: {production}
  region: us-east-1
  image: {{id: ami-12c6146b}}
  cidr: {cidr}
  zones: [us-east-1a]
  subnets:
    private: {{cidrs: [{subnet}]}}
  firewall:
    db: [{{from: self, tcp: 5432}}]
  servers:
    db: {{count: 2, type: t3.small, subnet: private, firewall: db}}
stores:
  vault: {{rsync: {{address: 172.20.0.10, module: x, user: x, password: hunter2}}, signing_key: sdb://secrets/signing}}
backup:
  jobs:
    database: {{postgresql: {{}}, servers: db, store: {store}, full: {{cron: '0 2 * * *'}}}}
refresh:
  source: {source}
  job: database
  store: vault
  servers: db
  mask: nothing_personal
  checks: [{{name: one, database: app, query: select 1}}]
"""


def two_environments(master: Master) -> Master:
    """`one` is production, `two` is not, and either names the other as its source."""
    top = master.folder / "pillar" / "common" / "top.sls"
    top.write_text("{{ saltenv }}:\n  '*_master': [environment]\n")
    one = {"production": "true", "cidr": "10.61.0.0/16", "subnet": "10.61.0.0/24", "source": "two"}
    two = {"production": "false", "cidr": "10.62.0.0/16", "subnet": "10.62.0.0/24", "source": "one"}
    master.pillar("one", PILLAR.format(name="one", store="vault", **one))
    master.pillar("two", PILLAR.format(name="two", store="vault", **two))
    return master


def answer(master: Master, function: str, *words: str) -> Any:
    """What a runner answers."""
    return master.call(function, *words)["return"]


def orchestrated(master: Master, name: str, target: str, **pillar: Any) -> tuple[int, dict[str, str]]:
    """Exit code of an orchestration of this checkout, and the comments of the states that failed, by id."""
    (master.folder / "srv/orch").symlink_to(CHECKOUT / "orch")
    words = ["state.orchestrate", f"orch.{name}", f"pillarenv={target}", f"pillar={json.dumps(pillar)}"]
    returned = master.call(*words)["return"]
    [states] = returned["data"].values()
    return returned["retcode"], {state["__id__"]: state["comment"] for state in states.values() if not state["result"]}
