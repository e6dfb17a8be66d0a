"""Simulate months of backups: whether every moment of the window can be restored, whatever befalls.

python -m tools.backup_months [--months 333] [--first 0]

Runs, failures, kills, failovers, two primaries, restores, damaged files and steps of the clocks come at random, in a world per
month. The commands' own code decides what is taken, from where, and what is deleted. The unit tests run a short one. It prints
the figures and each moment of the window that cannot be restored; the exit code is 1 where there is one.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.backup_months import Month

DAYS = 30


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--months", type=int, default=333, help="worlds of 30 days each")
    parser.add_argument("--first", type=int, default=0, help="the first world's number; a world is the same each time")
    options = parser.parse_args(arguments)
    figures, holes = Counter[str](), list[str]()
    with contextlib.suppress(KeyboardInterrupt):  # then the figures are those until then
        for seed in range(options.first, options.first + options.months):
            month = Month(seed)
            for _ in range(DAYS):
                month.day()
            figures += month.figures
            holes += month.holes
    for name, number in sorted(figures.items()):
        sys.stdout.write(f"{number:>10,}  {name}\n")
    sys.stdout.write("\n".join([f"{len(holes):>10,}  holes", *holes, ""]))
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main())
