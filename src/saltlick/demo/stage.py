"""What the demo looks like: a line per step with its time, the command it ran, the last lines of what went wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from saltlick.errors import SaltlickError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

BIN = Path(sys.executable).parent
LAST_LINES = 25
STATE = re.compile(r"^-{10}$", re.MULTILINE)
NOISE = re.compile(r"^(\[WARNING \] )?unclosed ")
"""Salt 3008 reports handles of its own that it has not closed, after everything that matters."""


class StepFailed(SaltlickError):
    """A step did not do what it should. `tail` is the last of what it wrote."""

    def __init__(self, step: str, why: str, tail: Sequence[str] = ()) -> None:
        super().__init__(f"{step}: {why}")
        self.step = step
        self.why = why
        self.tail = tuple(tail)


@dataclass
class DemoStage:
    """Runs commands and shows them. `env` is added to what they inherit."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    env: dict[str, str] = field(default_factory=dict)

    def act(self, title: str) -> None:
        """Begin a part of the story."""
        self.console.print(f"\n[bold cyan]{escape(title)}[/]")

    def remark(self, text: str) -> None:
        """One quiet line."""
        self.console.print(Text(text, style="dim"), soft_wrap=True)

    def command(self, command: Sequence[str]) -> None:
        """Show what is about to be run, as one would type it."""
        self.console.print(f"  [dim]$ {escape(shlex.join(_short(word) for word in command))}[/]", soft_wrap=True)

    def run(self, title: str, command: Sequence[str], *, expect: Iterable[int] = (0,)) -> str:
        """Run one command: a spinner with its latest line of stderr, then a line with the seconds; give its stdout.

        Raises: StepFailed when it exits with anything but `expect`.
        """
        self.command(command)
        with self.step(title) as notify:
            code, output, errors = _run(command, {**os.environ, **self.env}, notify)
            if code not in tuple(expect):
                raise StepFailed(title, f"exit code {code}", telling(output, errors))
        return output

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Time a block; it is given a function that shows what is going on just now."""
        started = time.monotonic()
        with self.console.status(escape(title)) as status:

            def notify(line: str) -> None:
                room = max(self.console.width - len(title) - 8, 10)
                status.update(f"{escape(title)} [dim]{escape(line.strip()[:room])}[/]")

            try:
                yield notify
            except BaseException:
                self._line("red", "✗", title, started)
                raise
        self._line("green", "✓", title, started)

    def _line(self, colour: str, sign: str, title: str, started: float) -> None:
        width = max(20, min(self.console.width, 100) - 14)
        text = f"{escape(title):<{width}}"
        seconds = f"[dim]{time.monotonic() - started:6.1f} s[/]"
        self.console.print(f"  [{colour}]{sign}[/] {text} {seconds}", soft_wrap=True)

    def show(self, output: str, *, lines: int = 24) -> None:
        """Part of what a command said, colours and all; its end is kept, since counts come last."""
        shown_lines = output.rstrip().splitlines()
        if len(shown_lines) > lines:
            left_out = len(shown_lines) - lines
            shown_lines = [*shown_lines[: lines - 4], f"    … {left_out} more lines …", *shown_lines[-4:]]
        for line in shown_lines:
            self.console.print(Text("    ") + Text.from_ansi(line), soft_wrap=True)

    def failed(self, failure: StepFailed) -> None:
        """The step that failed, why, and the last lines of what it wrote."""
        self.console.print(f"\n[bold red]failed:[/] {escape(failure.step)} ({escape(failure.why)})")
        for line in failure.tail:
            self.console.print(Text("    ") + Text.from_ansi(line), soft_wrap=True)

    def tour(self, title: str, facts: Mapping[str, str], commands: Mapping[str, str]) -> None:
        """What was built, where it is, and what to type next."""
        grid = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            grid.add_row(Text(name, style="bold"), Text(value))
        self.console.print()
        self.console.print(Panel(grid, title=title, title_align="left", border_style="green", padding=(1, 2)))
        # Outside the frame and never wrapped: they are there to be copied.
        for what, command in commands.items():
            self.console.print(f"\n  [bold]{escape(what)}[/]")
            for line in command.splitlines():
                self.console.print(Text(f"    {line}", style="cyan"), soft_wrap=True)
        self.console.print()


def telling(output: str, errors: Sequence[str]) -> list[str]:
    """The lines that say why: the failed states where Salt lists states, else the last lines of both streams."""
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        return _failed_states(json.loads(output)["data"])
    failed = [state for state in STATE.split(output) if "Result: False" in state]
    if failed:
        return [line for state in failed for line in state.strip("\n").splitlines()[:LAST_LINES]]
    return [*output.splitlines(), *errors][-LAST_LINES:]


def _failed_states(returns: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Name and comment of each failed state of Salt's JSON."""
    failed = [
        line
        for states in returns.values()
        for state in states.values()
        if state["result"] is False
        for line in (f"{state.get('__id__')}:", *str(state.get("comment")).splitlines())
    ]
    if not failed:
        raise ValueError("nothing failed")
    return failed[: 2 * LAST_LINES]


def tool(name: str) -> str:
    """A command of the environment that runs the demo."""
    return str(BIN / name)


def _short(word: str) -> str:
    """`salt-run` for `/…/.venv/bin/salt-run`, and nothing of where the checkout is."""
    with contextlib.suppress(ValueError):
        return str(Path(word).relative_to(BIN))
    with contextlib.suppress(ValueError):
        return str(Path(word).relative_to(Path.cwd()))
    return word


def _run(command: Sequence[str], env: Mapping[str, str], notify: Callable[[str], None]) -> tuple[int, str, list[str]]:
    """Exit code, stdout and the last lines of stderr, each line of which is passed to `notify` as it comes."""
    process = subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603
    last: deque[str] = deque(maxlen=LAST_LINES)
    with process:
        reader = threading.Thread(target=_follow, args=(process.stderr, last, notify), daemon=True)
        reader.start()
        output = process.stdout.read() if process.stdout else ""
        reader.join()
    return process.returncode, output, list(last)


def _follow(stream: IO[str] | None, last: deque[str], notify: Callable[[str], None]) -> None:
    for line in stream or ():
        if line.strip() and not NOISE.match(line):
            last.append(line.rstrip())
            notify(Text.from_ansi(line).plain)
