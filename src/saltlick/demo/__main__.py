"""`python -m saltlick.demo`: on the sandbox where a container engine can run, on the embedded AWS where none can."""

from __future__ import annotations

import sys
import time

from saltlick.demo import embedded, engine, sandboxed
from saltlick.demo.stage import DemoStage, StepFailed


def main() -> int:
    """Play the demo; 0 when every step did what it should."""
    stage = DemoStage()
    started = time.monotonic()
    missing = engine.missing()
    try:
        if missing:
            stage.remark(missing)
            embedded.play(stage)
        else:
            sandboxed.play(stage)
    except StepFailed as failure:
        stage.failed(failure)
        return 1
    except KeyboardInterrupt:
        stage.remark("interrupted; run it again and it goes on from here")
        return 130
    stage.remark(f"done in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
