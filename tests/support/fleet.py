"""The one fake fleet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltlick.fleet.ports import Call, Reply

SILENT = Reply(False, error="no answer", silent=True)


class FakeFleet:
    """Servers that answer each call by its function's name: with a value, a Reply, or what a callable of (server, call) returns.

    Functions are keyword arguments, `health__http=True`. A fleet with behaviour of its own overrides `answer`. A function that
    nobody answers is an error of the test.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {name.replace("__", "."): answer for name, answer in answers.items()}
        self.calls: list[tuple[str, Call]] = []

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        return {server: self._reply(server, call) for server, call in calls.items()}

    def _reply(self, server: str, call: Call) -> Reply:
        self.calls.append((server, call))
        answer = self.answer(server, call)
        return answer if isinstance(answer, Reply) else Reply(True, answer)

    def answer(self, server: str, call: Call) -> Any:
        """A Reply, or the value of a good one."""
        if call.function not in self.answers:
            raise AssertionError(f"nobody expects {call} on {server}")
        answer = self.answers[call.function]
        return answer(server, call) if callable(answer) else answer

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Who was asked what, as text."""
        return [(server, str(call)) for server, call in self.calls]

    def called(self, function: str) -> list[tuple[str, Call]]:
        """Who was called with what."""
        return [(server, call) for server, call in self.calls if call.function == function]
