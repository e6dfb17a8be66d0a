"""What a fault of the primary costs: seconds without writes, acknowledged writes lost, two primaries at once; in one run.

    python -m bench.failover [--rounds 1] [--asynchronous] [--fault NAME ...] [--json FILE]

Two database servers and a third voice, converged by the project's own formulas in containers. A client that follows the
primary as See bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import docker

from bench.servers import ROOT

sys.path.insert(0, str(ROOT / "tests"))

from formulas.postgresql.cluster import FAULTS, Cluster
from formulas.servers import make_network
from support.database_writers import overlap_s

from bench.run import say
from saltlick.terminal import table

LASTS_S = 45.0
"""How long a fault lasts before it is ended: longer than a primary is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultResult:
    """One fault of the primary. Seconds, and numbers of writes."""

    fault: str
    acknowledged: int
    without_writes_s: float
    lost: int
    two_primaries_s: float
    took_over: bool
    whole_again_s: float


def measured(cluster: Cluster, fault: str, number: int) -> FaultResult:
    """Do it to whoever is the primary, end it after a while, and wait until the cluster is whole."""
    former, _ = cluster.wait_until_whole()
    with cluster.writers(f"written_{number}") as (following, bound):
        time.sleep(3)
        began = time.monotonic()
        end = FAULTS[fault](cluster, former)
        time.sleep(LASTS_S)
        end()
        ended = time.monotonic()
        primary, _ = cluster.wait_until_whole(within_s=180)
        whole = time.monotonic()
        following.wait_for_writes(time.monotonic(), within_s=30)
    return FaultResult(
        fault=fault, acknowledged=len(following.acknowledged),
        without_writes_s=round(following.longest_gap_s(since=began), 1), lost=len(cluster.lost(following)),
        two_primaries_s=round(overlap_s(bound), 2), took_over=primary is not former, whole_again_s=round(whole - ended, 1),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--asynchronous", action="store_true", help="without waiting for the standby at each commit")
    parser.add_argument("--fault", action="append", choices=sorted(FAULTS), help="only this one; may be repeated")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    client = docker.from_env(timeout=300)
    network = make_network(client)
    cluster = Cluster(str(network.name), synchronous=not arguments.asynchronous)
    results: list[FaultResult] = []
    try:
        say("two database servers and a third voice boot and are converged")
        cluster.boot()
        cluster.apply_to_all()
        for fault in (arguments.fault or list(FAULTS)) * arguments.rounds:
            results.append(measured(cluster, fault, len(results)))
            say(f"{fault}: {results[-1]}")
    finally:
        cluster.remove()
        network.remove()
    heads = ("fault", "writes", "s without writes", "lost", "s with two primaries", "taken over", "s until whole")
    rows = [tuple(str(value) for value in asdict(result).values()) for result in results]
    print("\n".join(table(heads, rows, right=(1, 2, 3, 4, 6))))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
