"""The words of a message: for somebody who is woken by it and knows nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from saltlick.notify.condition import Condition, RememberedCondition, Severity
from saltlick.words import clean, one_line


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `kind` is Apprise's: `failure`, `warning`, `success`, `info`."""

    title: str
    body: str
    kind: str

    def __post_init__(self) -> None:
        """What is known comes from servers: it neither steers a terminal nor adds a header to a mail."""
        object.__setattr__(self, "title", one_line(self.title))
        object.__setattr__(self, "body", clean(self.body))


WORDS = {Severity.WARNING: "WARNING", Severity.FAILURE: "RED"}


def red(remembered: RememberedCondition, zone: tzinfo, *, again: bool) -> Message:
    """Something is red, for the first time or still."""
    condition = remembered.condition
    word = WORDS[condition.severity]
    lines = [*details(condition), f"Since: {_at(remembered.since, zone)}"]
    lines += [f"Next: {command}" for command in condition.next_commands]
    return Message(f"{'STILL ' if again else ''}{word} {condition.title}", "\n".join(lines), condition.severity.value)


def green(remembered: RememberedCondition, zone: tzinfo) -> Message:
    """It is green again; what it was stands there too, for those who were not reached while it was red."""
    since, until = _at(remembered.since, zone), _at(remembered.green_at or remembered.since, zone)
    lines = [f"It was red from {since} to {until}.", *(f"It was: {line}" for line in remembered.condition.known[:3])]
    return Message(f"GREEN {remembered.condition.title}", "\n".join(lines), "success")


def trial(environment: str, target: str) -> Message:
    """What `notify.test` sends."""
    body = f"This is a test: the target {target} of the environment {environment} is reached. Nothing has to be done."
    return Message(f"TEST {environment}: notify {target}", body, "info")


def details(condition: Condition) -> list[str]:
    """What is known and what is not, a line each."""
    return [*(f"Known: {line}" for line in condition.known), *(f"Not known: {line}" for line in condition.unknown)]


def _at(epoch: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(epoch, zone):%a %Y-%m-%d %H:%M:%S %Z}"
