"""What a release costs: time out of traffic, overhead over bare Salt calls, and how both grow with the servers; in one run.

    python -m bench.release [--pairs 3] [--build 3] [--only traffic,overhead,simulated] [--json FILE]

See bench/README.md for what is measured and how.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import salt.client

from bench.load import Crowd, visitors
from bench.master import salt_run
from bench.run import required, say, temporary_folder
from bench.servers import ROOT
from bench.shop import BY_FILES, SERVERS, Shop, shop
from saltlick.commands.arguments import caller
from saltlick.commands.release.commands import RollingRequest, rolling
from saltlick.commands.release.context import open_journal
from saltlick.release.report.timeline import State, lanes

if TYPE_CHECKING:
    from bench.load import Visit
    from saltlick.release.journal.record import ReleaseRecord

KINDS = ("prepared", "in_place")
CROWD = Crowd(keeping=2, new=2, sending=0, slow=1, pause_s=0.1, slow_s=1.0)
SIZES = (100, 1000)
BATCHES = ("10%", "10")
BARE_S = 120
"""How long a bare call may take."""


@dataclass(frozen=True)
class Away:
    """One release with visitors, seen by its journal (`away_s`: answers nobody) and by the visitors (`unseen_s`)."""

    kind: str
    drain_s: list[float]
    away_s: list[float]
    unseen_s: list[float]
    release_s: float
    requests: int
    failed: int


@dataclass(frozen=True)
class Cost:
    """One release without visitors, and the same Salt calls without a release."""

    release_s: float
    bare_s: float
    release_cpu_s: float
    """Of this process, which makes either: the part that a busy machine does not blur."""
    bare_cpu_s: float
    around_s: float
    """Of the release's time, that before and after its journal: pillar, lock, page."""
    calls: int
    bare_calls: int
    steps: int
    """One for each server and step."""

    @property
    def ratio(self) -> float:
        return self.release_s / self.bare_s

    @property
    def step_ms(self) -> float:
        return (self.release_s - self.bare_s) / self.steps * 1000

    @property
    def step_cpu_ms(self) -> float:
        return (self.release_cpu_s - self.bare_cpu_s) / self.steps * 1000


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the daemons go too
    chosen = set(arguments.only.split(","))
    results: dict[str, Any] = {"machine": machine()}
    print(results["machine"])
    if chosen & {"traffic", "overhead"}:
        with temporary_folder() as folder, shop(folder) as running:
            bench = Bench(running, arguments.build)
            bench.first()
            if "traffic" in chosen:
                results["traffic"] = [asdict(sample) for sample in bench.traffic(arguments.pairs)]
            if "overhead" in chosen:
                results["overhead"] = [asdict(sample) for sample in bench.overhead(arguments.pairs)]
    if "simulated" in chosen:
        results["simulated"] = simulated(arguments.pairs)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="how often each thing is measured")
    parser.add_argument("--build", type=float, default=3, help="seconds that a build takes")
    parser.add_argument("--only", default="traffic,overhead,simulated", help="parts to run, comma separated")
    parser.add_argument("--json", help="also write all samples here")
    return parser.parse_args()


def machine() -> str:
    """What the figures are of, and how busy that was with other things before anything was started here."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; load before: {load}"


class Bench:
    """The measurements on real minions; each prints its own table and returns its samples."""

    def __init__(self, running: Shop, build_s: float) -> None:
        self.shop = running
        self.build_s = build_s
        self.revisions = 0

    def revision(self) -> tuple[str, str]:
        """A new one: its name and SHA."""
        self.revisions += 1
        name = f"rev-{self.revisions}"
        return name, self.shop.commit(name)

    def salt_run(self, rev: str, *more: str) -> None:
        """The release as an operator types it, up to every server answering with the revision."""
        command = ("release.rolling", "test", f"rev={rev}", *more)
        required(salt_run(self.shop.folder / "master", *command, environ=dict(os.environ)))
        self.check(rev)

    def check(self, rev: str) -> None:
        runs = self.shop.runs()
        if set(runs.values()) != {rev}:
            raise SystemExit(f"not all servers run {rev} after its release: {runs}")

    def first(self) -> None:
        """The application comes up on all servers, and everything is loaded once."""
        rev, _ = self.revision()
        self.shop.declare("prepared", 0, BY_FILES)
        self.salt_run(rev, "force=unhealthy")

    # time out of traffic

    def traffic(self, pairs: int) -> list[Away]:
        """Releases by either strategy with visitors all the while; they take turns in who goes first."""
        samples = []
        for pair in range(pairs):
            for kind in KINDS if pair % 2 == 0 else KINDS[::-1]:
                samples.append(away := self.away(kind))
                say(f"  {kind:<9} {median(away.away_s):6.2f} s out of traffic, {away.failed} of {away.requests} failed")
        print_traffic(samples, self.shop.front, self.build_s)
        return samples

    def away(self, kind: str) -> Away:
        rev, _ = self.revision()
        self.shop.declare(kind, self.build_s)
        with visitors(self.shop.url, CROWD) as visits:
            time.sleep(1)
            self.salt_run(rev)
            time.sleep(1)
        for visit in visits.failed[:3]:
            say(f"  failed: {visit}")
        record = self.record()
        server_lanes = lanes(record)
        drain_s = [sum(span.seconds for span in lane.spans if span.state is State.DRAIN) for lane in server_lanes]
        ended = record.ended or record.started
        return Away(
            kind=kind,
            drain_s=drain_s,
            away_s=[lane.away_s for lane in server_lanes],
            unseen_s=[longest_gap(visits.visits, server) for server in SERVERS],
            release_s=ended - record.started,
            requests=len(visits.visits),
            failed=len(visits.failed),
        )

    def record(self) -> ReleaseRecord:
        with open_journal(self.shop.opts) as journal:
            record = journal.latest("test")
        assert record is not None
        return record

    # overhead

    def overhead(self, pairs: int) -> list[Cost]:
        """A release with a build of no time, then the calls it made once more for the next revision, by hand."""
        self.shop.declare("prepared", 0, BY_FILES)
        samples = []
        for _ in range(pairs):
            samples.append(cost := self.cost())
            say(
                f"  release {cost.release_s:.2f} s, bare {cost.bare_s:.2f} s, {cost.step_ms:.0f} ms per server and step"
            )
        print_overhead(samples)
        return samples

    def cost(self) -> Cost:
        rev, sha = self.revision()
        with salt.client.LocalClient(mopts=dict(self.shop.opts)) as client:
            before = set(jobs(client))
            with Watch() as release, contextlib.redirect_stderr(io.StringIO()):
                request = RollingRequest.read(self.shop.opts, caller(f"bench-{rev}"), "test", rev=rev)
                answer = rolling(self.shop.opts, request)
            if answer.retcode:
                raise SystemExit(f"a measured release failed with exit code {answer.retcode}: {answer.result}")
            self.check(rev)
            record = self.record()
            made = [client.returners["local_cache.get_load"](jid) for jid in sorted(set(jobs(client)) - before)]
            twin, twin_sha = self.revision()
            words = {sha: twin_sha, rev: twin, record.id: f"bare-{twin}"}
            calls = [call for load in made if (call := bare_call(load, words))]
            with Watch() as bare:
                for call in calls:
                    by_hand(client, call)
        self.check(twin)
        return Cost(
            release_s=release.seconds,
            bare_s=bare.seconds,
            release_cpu_s=release.cpu_s,
            bare_cpu_s=bare.cpu_s,
            around_s=release.seconds - ((record.ended or record.started) - record.started),
            calls=len(made),
            bare_calls=len(calls),
            steps=sum(1 for step in record.steps if step.server),
        )


class Watch:
    """How long a block took: by the clock, and of this process's processor time."""

    seconds = cpu_s = 0.0

    def __enter__(self) -> Watch:
        self._began = time.monotonic(), time.process_time()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds, self.cpu_s = time.monotonic() - self._began[0], time.process_time() - self._began[1]


# bare calls


@dataclass(frozen=True)
class Bare:
    """One call of a list of minions, as a person would make it."""

    function: str
    arguments: list[Any]
    servers: list[str]


def jobs(client: Any) -> Iterable[str]:
    """Every job of which the master's cache knows."""
    jids: Iterable[str] = client.returners["local_cache.get_jids"]()
    return jids


def bare_call(load: dict[str, Any], words: dict[str, str]) -> Bare | None:
    """A job that a release made, for the next revision. What it ran detached is called itself, and nobody asks how far it is."""
    function, arguments = load["fun"], json.dumps(load["arg"])
    for old, new in words.items():
        arguments = arguments.replace(old, new)
    given = json.loads(arguments)
    if function in {"detached.status", "test.ping"}:
        return None
    if function == "detached.start":
        _, function, how = given
        given = [*how["args"], {**how["kwargs"], "__kwarg__": True}]
    return Bare(function, given, list(load["tgt"]))


def by_hand(client: Any, call: Bare) -> None:
    """Make it, and wait until all have answered."""
    answers = client.cmd(call.servers, call.function, call.arguments, tgt_type="list", timeout=BARE_S, full_return=True)
    bad = [server for server in call.servers if not answers.get(server)]
    if bad:
        raise SystemExit(f"{call.function} by hand: no answer of {', '.join(bad)}")


# simulated servers


def simulated(pairs: int) -> dict[str, Any]:
    """A few and many simulated servers in turn: seconds without tracing, then the peak of what is allocated."""
    results: dict[str, Any] = {}
    for batch in BATCHES:
        timed: dict[int, list[dict[str, Any]]] = {size: [] for size in SIZES}
        for _ in range(pairs):
            for size in SIZES:
                timed[size].append(child(size, batch, "time"))
        traced = {size: child(size, batch, "memory") for size in SIZES}
        results[batch] = {"timed": timed, "traced": traced}
        say(f"  simulated, batches of {batch}: done")
    print_simulated(results)
    return results


def child(size: int, batch: str, what: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.simulated", str(size), batch, what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


# what visitors saw


def longest_gap(visits: list[Visit], server: str) -> float:
    """The longest time in which no quick visitor had an answer of that server."""
    answered = sorted(
        visit.began + visit.seconds for visit in visits if visit.server == server and visit.kind != "slow"
    )
    return max((later - earlier for earlier, later in pairwise(answered)), default=0.0)


# tables


def print_traffic(samples: list[Away], front: str, build_s: float) -> None:
    """Medians and extremes over all servers of all releases."""
    print(f"\nOut of traffic, for each of {len(SERVERS)} real minions behind {front}; a build of {build_s:g} s")
    print(
        f"{'':<10}{'drain s':>9}{'out s':>8}{'longest':>9}{'unseen s':>10}{'release s':>11}{'requests':>10}{'failed':>8}"
    )
    middle: dict[str, float] = {}
    for kind in KINDS:
        of_kind = [sample for sample in samples if sample.kind == kind]
        away = [second for sample in of_kind for second in sample.away_s]
        drain = median(second for sample in of_kind for second in sample.drain_s)
        unseen = median(second for sample in of_kind for second in sample.unseen_s)
        middle[kind] = median(away)
        print(
            f"{kind:<10}{drain:>9.2f}{middle[kind]:>8.2f}{max(away):>9.2f}{unseen:>10.2f}"
            f"{median(sample.release_s for sample in of_kind):>11.1f}"
            f"{sum(sample.requests for sample in of_kind):>10}{sum(sample.failed for sample in of_kind):>8}"
        )
    failed = sum(sample.failed for sample in samples)
    print(f"in_place / prepared: {middle['in_place'] / middle['prepared']:.1f} times as long out of traffic")
    print(f"failed requests: {failed}  {'met' if not failed else 'MISSED (aim: 0)'}")


def print_overhead(samples: list[Cost]) -> None:
    """Each pair, and the medians of what is derived from them."""
    print(f"\nA release beside the same Salt calls by hand, {len(SERVERS)} real minions, a build of no time")
    columns = f"{'around s':>10}{'calls':>7}{'bare':>6}{'steps':>7}{'ms/step':>9}{'CPU s':>8}{'bare':>6}{'ms/step':>9}"
    print(f"{'':<8}{'release s':>11}{'bare s':>8}{'ratio':>7}{columns}")
    for number, sample in enumerate(samples, start=1):
        print(
            f"pair {number:<3}{sample.release_s:>11.2f}{sample.bare_s:>8.2f}{sample.ratio:>7.2f}{sample.around_s:>10.2f}"
            f"{sample.calls:>7}{sample.bare_calls:>6}{sample.steps:>7}{sample.step_ms:>9.1f}"
            f"{sample.release_cpu_s:>8.2f}{sample.bare_cpu_s:>6.2f}{sample.step_cpu_ms:>9.1f}"
        )
    ratio, step_ms = median(sample.ratio for sample in samples), median(sample.step_ms for sample in samples)
    cpu_ms = median(sample.step_cpu_ms for sample in samples)
    print(f"median: {ratio:.2f} times the bare calls; per server and step {step_ms:.1f} ms, and {cpu_ms:.1f} ms of CPU")


def print_simulated(results: dict[str, Any]) -> None:
    """Per server, and how that grows from few servers to many: 1 is flat."""
    print("\nSimulated servers: the core, a journal on disk and a line per step, no network")
    print(f"{'batches':<9}{'servers':>8}{'s':>8}{'ms/server':>11}{'us/step':>9}{'MB':>8}{'kB/server':>11}")
    for batch, measured in results.items():
        per_server = {size: _per_server(measured, size) for size in SIZES}
        for size, (seconds, steps, peak) in per_server.items():
            print(
                f"{batch:<9}{size:>8}{seconds:>8.2f}{seconds / size * 1e3:>11.2f}{seconds / steps * 1e6:>9.0f}"
                f"{peak / 1e6:>8.1f}{peak / size / 1e3:>11.1f}"
            )
        few, many = SIZES
        time_grows = per_server[many][0] / per_server[few][0] / (many / few)
        memory_grows = per_server[many][2] / per_server[few][2] / (many / few)
        print(f"{'':<9}per server, {many:,} / {few:,}: time {time_grows:.2f}, memory {memory_grows:.2f}  (1: flat)")


def _per_server(measured: dict[str, Any], size: int) -> tuple[float, int, int]:
    timed = measured["timed"][size]
    return median(sample["seconds"] for sample in timed), timed[0]["steps"], measured["traced"][size]["peak_bytes"]


if __name__ == "__main__":
    main()
