"""A release of simulated servers, in a process of its own, which says what it took.

    python -m bench.simulated SERVERS BATCH time|memory

The servers and their balancer are those of the unit tests, without the rules they watch there, and without a history; the
journal is a real one on disk, and each step is told in a line. `memory` traces allocations, which costs time: so one of both.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.servers import ROOT
from saltlick.commands.release.notifier import ReleaseNotifier
from saltlick.commands.release.webhook import WebhookNotifier
from saltlick.jobs.progress import Progress
from saltlick.jobs.store import Store
from saltlick.release.journal.record import Result
from saltlick.release.journal.store import Journal
from saltlick.release.rollout import release

sys.path.insert(0, str(ROOT / "tests"))

from support import release_world as simulated


class World(simulated.World):
    """Servers that do what they are told, and nobody who checks on them after each call."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.calls: Any = deque(maxlen=0)

    def watch(self) -> None:
        return


class Quiet:
    """A bus that nobody listens to."""

    def fire(self, tag: str, content: Any) -> None:
        pass

    def close(self) -> None:
        pass


def main() -> None:
    count, batch, what = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    with tempfile.TemporaryDirectory(prefix="saltlick-bench-") as folder:
        print(json.dumps(_released(count, batch, Path(folder), traced=what == "memory")))


def _released(count: int, batch: str, folder: Path, *, traced: bool) -> dict[str, Any]:
    world = World(simulated.names(count))
    journal = Journal(Store(folder / "releases.sqlite"), epoch=world.clock.epoch)
    recipe = simulated.recipe(strategy={"batch": batch if batch.endswith("%") else int(batch)})
    output = io.StringIO()
    progress = Progress("bench", Quiet(), stream=output)
    teller = ReleaseNotifier({}, progress, WebhookNotifier({}, None, progress.line))
    stage = replace(world.on(folder, journal=journal), notify=teller)
    if traced:
        tracemalloc.start()
    began = time.perf_counter()
    record = release(recipe, simulated.asked(world), stage)
    seconds = time.perf_counter() - began
    peak = tracemalloc.get_traced_memory()[1] if traced else 0
    if record.result is not Result.DONE:
        raise SystemExit(f"the simulated release came out as {record.result.value}: {record.reason}")
    steps = sum(1 for step in record.steps if step.server)
    return {"servers": count, "batch": batch, "seconds": seconds, "peak_bytes": peak, "steps": steps}


if __name__ == "__main__":
    main()
