"""The same question asked by several threads is asked once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def question(service: str, operation: str, parameters: Mapping[str, Any]) -> str:
    """A text that is equal for equal requests."""
    return json.dumps((service, operation, parameters), sort_keys=True, default=str)


class Once(Generic[T]):
    """Coalesces concurrent identical reads: the first caller sends the request, later callers wait for its result or error.

    `keep` says whether answers are remembered afterwards, or shared only while they are on the way.
    """

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._answers: dict[str, Future[T]] = {}

    def get(self, request: str, ask: Callable[[], T]) -> T:
        with self._lock:
            answer = self._answers.get(request)
            mine = answer is None
            if answer is None:
                answer = self._answers[request] = Future()
        if mine:
            self._fetch(request, answer, ask)
        return answer.result()

    def _fetch(self, request: str, answer: Future[T], ask: Callable[[], T]) -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # waiting callers must not wait for ever; result() raises it again
            answer.set_exception(error)
        finally:
            if not self._keep:
                with self._lock:
                    self._answers.pop(request, None)
