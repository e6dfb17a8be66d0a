"""Saltlick beside the practical limit, in one run: time, calls, peak concurrency, memory, ratios.

    python -m bench [--pairs 3] [--latency 0.1] [--only estate,lost,wide] [--json FILE]

See bench/README.md for what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import master
from bench.servers import ROOT, Servers, running
from bench.wide import wide_pillar

if TYPE_CHECKING:
    from collections.abc import Iterator

PHASES = ("create", "recheck", "destroy")
ESTATE = ",".join(master.ENVIRONMENTS)
COMMANDS = {
    "create": ("environment.apply", ESTATE),
    "recheck": ("environment.apply", ESTATE),
    "destroy": ("environment.destroy", ESTATE, f"confirm={ESTATE}"),
}
AIM_RATIO = 1.5
AIM_RECHECK_CALLS = 20


@dataclass(frozen=True)
class Sample:
    """One phase of one program."""

    who: str
    phase: str
    seconds: float
    calls: int
    mutating: int
    peak: int
    memory_mb: float


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers go too
    chosen = set(arguments.only.split(","))
    with running(latency_ms=arguments.latency * 1000) as servers, temporary_folder() as folder:
        bench = Bench(servers, folder, arguments.latency * 1000)
        if "estate" in chosen:
            bench.estate(arguments.pairs)
        if "lost" in chosen:
            bench.lost(0.03)
        if "wide" in chosen:
            bench.wide(50, 1000)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(bench.results, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="how often each phase is measured")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds added to each API call")
    parser.add_argument("--only", default="estate,lost,wide", help="parts to run, comma separated")
    parser.add_argument("--json", help="also write all samples here")
    return parser.parse_args()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="saltlick-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Bench:
    """The measurements; each prints its own lines and keeps its figures in `results`."""

    def __init__(self, servers: Servers, folder: Path, latency_ms: float) -> None:
        self.servers = servers
        self.folder = folder
        self.latency_ms = latency_ms
        self.results: dict[str, Any] = {}

    # the reference estate

    def estate(self, pairs: int) -> None:
        config = master.write_config(self.folder / "estate")
        startup: list[float] = []
        samples = []
        for pair in range(pairs):
            say(f"pair {pair + 1} of {pairs}")
            startup += [self.startup(config) for _ in PHASES]
            samples += self.round("script", config)
            samples += self.round("saltlick", config)
        self.results["startup_s"] = startup
        self.results["estate"] = [asdict(sample) for sample in samples]
        print_estate(samples, median(startup))

    def startup(self, config: Path) -> float:
        """Salt on its own: `salt-run` of a runner that does nothing."""
        run = master.salt_run(config, "config.get", "root_dir", environ=self.servers.environ())
        return required(run).seconds

    def round(self, who: str, config: Path) -> list[Sample]:
        self.servers.reset_aws()
        samples = []
        for phase in PHASES:
            samples.append(self.phase(who, phase, config))
            if phase == "create":
                self.check(who)
        self.check_gone(who)
        return samples

    def phase(self, who: str, phase: str, config: Path) -> Sample:
        self.servers.reset(latency_ms=self.latency_ms)
        if who == "script":
            command = [sys.executable, "-m", "bench.practical_limit", phase]
            run = master.timed(command, self.servers.environ())
        else:
            run = master.salt_run(config, *COMMANDS[phase], environ=self.servers.environ())
        stats = self.servers.stats()
        required(run)
        say(f"  {who:<9}{phase:<8} {run.seconds:6.2f} s  {stats['calls']:4} calls")
        return Sample(who, phase, run.seconds, stats["calls"], stats["mutating"], stats["peak"], run.memory_mb)

    # AWS answers are lost

    def lost(self, share: float) -> None:
        """Apply while a share of all answers is lost, as often as it takes; an independent checker then looks."""
        config = master.write_config(self.folder / "lost")
        self.servers.reset_aws()
        for attempt in range(1, 6):
            self.servers.reset(latency_ms=self.latency_ms, lost_rate=share, seed=attempt)
            run = master.salt_run(config, *COMMANDS["create"], environ=self.servers.environ())
            stats = self.servers.stats()
            say(f"  run {attempt}: exit {run.code}, {run.seconds:.1f} s, {stats['calls']} calls, {stats['lost']} lost")
            if run.code == 0:
                break
        problems = self.problems()
        self.results["lost"] = {"runs": attempt, "exit": run.code, "problems": problems}
        verdict = "exactly the reference estate, no duplicates" if not problems else "; ".join(problems)
        print(f"\n{share:.0%} of the answers lost: {attempt} run(s), {verdict}")

    # one wide environment

    def wide(self, *sizes: int) -> None:
        """Re-check calls for one environment of so many objects: they must not grow with it."""
        print(f"\n{'one environment of':<22}{'re-check calls':>16}{'s':>8}{'MB':>8}")
        for size in sizes:
            folder = self.folder / f"wide-{size}"
            objects = wide_pillar(folder / "source", size)
            config = master.write_config(folder / "master", pillars=folder / "source")
            self.servers.reset_aws()
            self.servers.reset(latency_ms=0)
            environ = self.servers.environ()
            required(master.salt_run(config, "environment.apply", "wide", environ=environ))
            self.servers.reset(latency_ms=self.latency_ms)
            run = required(master.salt_run(config, "environment.apply", "wide", environ=environ))
            stats = self.servers.stats()
            self.results[f"wide-{size}"] = {"objects": objects, "calls": stats["calls"], "seconds": run.seconds}
            print(f"{objects:>10} objects    {stats['calls']:>16}{run.seconds:>8.2f}{run.memory_mb:>8.0f}")

    # looking

    def problems(self) -> list[str]:
        command = [sys.executable, str(ROOT / "tests/functional/checker.py")]
        run = master.timed(command, self.servers.environ(direct=True))
        return [] if run.code == 0 else run.stdout.splitlines() or [run.stderr]

    def check(self, who: str) -> None:
        problems = self.problems()
        if problems:
            raise SystemExit(f"{who} did not build the reference estate:\n" + "\n".join(problems))

    def check_gone(self, who: str) -> None:
        command = [sys.executable, str(ROOT / "tests/functional/checker.py"), "leftovers"]
        run = master.timed(command, self.servers.environ(direct=True))
        if run.code:
            raise SystemExit(f"{who} left behind:\n{run.stdout}{run.stderr}")


def required(run: master.Run) -> master.Run:
    if run.code:
        raise SystemExit(f"a measured command failed with exit code {run.code}:\n{run.stdout}{run.stderr}")
    return run


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def print_estate(samples: list[Sample], startup_s: float) -> None:
    """The table, medians over all pairs."""
    print(f"\nSalt's start-up on its own: {startup_s:.2f} s")
    print(f"{'':<10}{'':<10}{'s':>8}{'calls':>8}{'changing':>10}{'peak':>6}{'MB':>6}{'ratio':>8}  aim")
    for phase in PHASES:
        limit = of(samples, "script", phase)
        ours = of(samples, "saltlick", phase)
        ratio = (ours["seconds"] - startup_s) / limit["seconds"]
        print(f"{phase:<10}{'script':<10}{figures(limit)}")
        aim = "met" if ratio <= AIM_RATIO else "MISSED"
        if phase == "recheck" and ours["calls"] > AIM_RECHECK_CALLS:
            aim = "MISSED (calls)"
        print(f"{'':<10}{'saltlick':<10}{figures(ours)}{ratio:>8.2f}  {aim}")
    print(f"ratio = (Saltlick - Salt's start-up) / script; aim <= {AIM_RATIO}, re-check <= {AIM_RECHECK_CALLS} calls")


def of(samples: list[Sample], who: str, phase: str) -> dict[str, float]:
    chosen = [asdict(sample) for sample in samples if (sample.who, sample.phase) == (who, phase)]
    return {name: median(s[name] for s in chosen) for name in ("seconds", "calls", "mutating", "peak", "memory_mb")}


def figures(row: dict[str, float]) -> str:
    return (
        f"{row['seconds']:>8.2f}{row['calls']:>8.0f}{row['mutating']:>10.0f}{row['peak']:>6.0f}{row['memory_mb']:>6.0f}"
    )


if __name__ == "__main__":
    main()
