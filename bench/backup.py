"""What a backup costs: size and time beside pg_dump and pg_basebackup, and what the primary's clients feel of it; in one run.

    python -m bench.backup [--mib 1024] [--pairs 3] [--json FILE]

Two database servers, primary and standby, converged by the project's own formulas in containers. See bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median

import docker

from bench.servers import ROOT

sys.path.insert(0, str(ROOT / "tests"))

from formulas.kitchen import suites
from formulas.servers import SALT_CALL, Server, make_network

from bench.run import say

BIN = "/usr/lib/postgresql/15/bin"
AS_POSTGRES = "cd / && runuser -u postgres --"
MIB_PER_SCALE = 15.0
"""Of pgbench's tables with their indexes. Source: measured, PostgreSQL 15."""
CLIENTS = 4
LOAD_S = 20
PASSWORD = "bench"
T0 = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Sample:
    """One backup by one means. `tps` and `latency_ms` are what pgbench's clients at the primary got meanwhile."""

    means: str
    seconds: float
    size_mib: float
    tps: float
    latency_ms: float


class Cluster:
    """A primary with data in it, its standby, and a store on the standby's own disk."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary, self.standby = primary, standby
        self._number = 0

    def fill(self, mib: int) -> float:
        """Fill the database and let the standby follow; its size in MiB."""
        scale = max(1, round(mib / MIB_PER_SCALE))
        self.primary.run(f"{AS_POSTGRES} {BIN}/pgbench -q -i -s {scale} shop 2>&1")
        size = self.primary.run(f"{AS_POSTGRES} psql -XAtq -c \"select pg_database_size('shop')\"")
        self.caught_up()
        return int(size) / 2**20

    def caught_up(self) -> None:
        """Wait until the standby has all of it."""
        at = self.primary.run(f"{AS_POSTGRES} psql -XAtq -c 'select pg_current_wal_flush_lsn()'").strip()
        has = f"{AS_POSTGRES} psql -XAtq -c \"select pg_last_wal_replay_lsn() >= '{at}'\" | grep -qx t"
        self.standby.run(f"for i in $(seq 600); do {has} && exit 0; sleep 0.5; done; exit 1")

    def take(self, server: Server, mode: str) -> float:
        """One of ours; its size in MiB."""
        self._number += 1
        backup = f"{T0 + timedelta(hours=self._number):%Y%m%dT%H%M%SZ}-{mode}"
        output = server.run(
            f"{SALT_CALL} --local --out=json --log-level=error backup.take vault database {backup} postgresql mode={mode}"
        )
        manifest = json.loads(output)["local"]
        if manifest["mode"] != mode:
            raise SystemExit(f"asked for {mode}, got {manifest['mode']}: {manifest.get('why')}")
        return float(manifest["size"]) / 2**20

    def dump(self) -> float:
        """pg_dump, compressed as it does by itself."""
        self.primary.run(f"{AS_POSTGRES} {BIN}/pg_dump -Fc -f /var/lib/postgresql/dump shop")
        return self._size("/var/lib/postgresql/dump")

    def basebackup(self) -> float:
        """pg_basebackup, compressed as ours is."""
        place = "/var/lib/postgresql/plain"
        self.primary.run(f"{AS_POSTGRES} {BIN}/pg_basebackup -D {place} -Ft -Z 1 -X stream -c fast")
        return self._size(place)

    def _size(self, path: str) -> float:
        size = int(self.primary.run(f"du -sb {path} | cut -f1"))
        self.primary.run(f"rm -rf {path}")
        return size / 2**20

    def load(self, seconds: int) -> tuple[float, float]:
        """What clients get from the primary: transactions per second, and milliseconds each."""
        output = self.primary.run(f"{AS_POSTGRES} {BIN}/pgbench -n -c {CLIENTS} -j 2 -T {seconds} shop 2>&1")
        lines = dict(line.split(" = ") for line in output.splitlines() if " = " in line)
        return float(lines["tps"].split()[0]), float(lines["latency average"].split()[0])


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Both servers, up and following."""
    client = docker.from_env(timeout=600)
    network = make_network(client)
    primary, standby = (Server(suites()["backup"], client, str(network.name), number) for number in (1, 2))
    try:
        primary.boot()
        standby.boot()
        members = {primary.id: primary.address, standby.id: standby.address}
        pillar = {
            **primary.suite.pillar["postgresql"],
            "members": members,
            "replication": {"password": PASSWORD},
            "settings": {"shared_buffers": "256MB", "max_wal_size": "2GB"},
        }
        with ThreadPoolExecutor() as pool:
            list(
                pool.map(
                    lambda server: server.apply(roles=["postgresql", "rsyncd", "backup"], postgresql=pillar),
                    (primary, standby),
                )
            )
        for server in (primary, standby):
            server.run(f"{SALT_CALL} --local saltutil.sync_modules >/dev/null")
        yield Cluster(primary, standby)
    finally:
        primary.remove()
        standby.remove()
        network.remove()


def measured(on: Cluster, means: str, act: Callable[[], float]) -> Sample:
    """One backup under load. The load runs as long as the backup does, and at least a moment before and after it."""
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(on.load, LOAD_S)
        time.sleep(1)
        began = time.monotonic()
        size = act()
        seconds = time.monotonic() - began
        tps, latency = load.result()
    return Sample(means, seconds, size, tps, latency)


def run(on: Cluster, pairs: int) -> list[Sample]:
    """All means, taking turns."""
    samples = []
    for number in range(pairs):
        say(f"pair {number + 1} of {pairs}")
        tps, latency = on.load(LOAD_S)
        samples.append(Sample("nothing", 0, 0, tps, latency))
        samples.append(measured(on, "pg_dump", on.dump))
        samples.append(measured(on, "pg_basebackup", on.basebackup))
        samples.append(measured(on, "full, from the primary", lambda: on.take(on.primary, "full")))
        on.caught_up()
        samples.append(measured(on, "full, from the standby", lambda: on.take(on.standby, "full")))
        on.load(2)
        on.caught_up()
        samples.append(measured(on, "incremental, from the standby", lambda: on.take(on.standby, "incr")))
    return samples


def table(samples: list[Sample], mib: float) -> str:
    """Medians, each beside pg_basebackup and beside no backup at all."""
    means = list(dict.fromkeys(sample.means for sample in samples))
    mid = {name: _middle([sample for sample in samples if sample.means == name]) for name in means}
    plain, quiet = mid["pg_basebackup"], mid["nothing"]
    lines = [f"{mib:.0f} MiB, {CLIENTS} clients of pgbench at the primary all the while", ""]
    lines.append(f"{'':31}{'s':>8}{'ratio':>8}{'MiB':>9}{'ratio':>8}{'tps':>9}{'of quiet':>10}")
    for name in means:
        sample = mid[name]
        slower, larger = sample.seconds / plain.seconds, sample.size_mib / plain.size_mib
        cost = f"{sample.seconds:8.1f}{slower:8.2f}{sample.size_mib:9.1f}{larger:8.2f}"
        share = f"{sample.tps:9.0f}{sample.tps / quiet.tps:9.0%}"
        lines.append(f"{name:31}{cost if sample.seconds else '':33}{share}")
    return "\n".join(lines)


def _middle(samples: list[Sample]) -> Sample:
    of = {
        what: median(getattr(sample, what) for sample in samples)
        for what in ("seconds", "size_mib", "tps", "latency_ms")
    }
    return Sample(samples[0].means, **of)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a backup costs.")
    parser.add_argument("--mib", type=int, default=1024, help="size of the database")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with cluster() as on:
        say(f"filling a database of about {given.mib} MiB")
        mib = on.fill(given.mib)
        samples = run(on, given.pairs)
    print(table(samples, mib))
    if given.json:
        given.json.write_text(json.dumps({"mib": mib, "samples": [asdict(sample) for sample in samples]}, indent=1))


if __name__ == "__main__":
    main()
