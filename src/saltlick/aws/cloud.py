"""`engine.ports.Cloud` and `Reading` over boto3."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from saltlick.aws.coalesce import Once, question
from saltlick.aws.sender import Sender, reads
from saltlick.aws.throttle import backoff_s
from saltlick.errors import AwsError

Answer = Mapping[str, Any]


class AwsCloud:
    """The AWS API of one region; see `aws.connect`. Thread-safe."""

    def __init__(self, sender: Sender, *, patience_s: float = 0.0, under_way: Once[Answer] | None = None) -> None:
        self.region = sender.region
        self.clock = sender.clock
        self._sender = sender
        self._patience_s = patience_s
        self._under_way: Once[Answer] = under_way or Once(keep=False)

    def call(self, service: str, operation: str, /, **parameters: Any) -> Answer:
        """One request, throttling waited out.

        Equal reads that are on the way at the same time share one request: ten threads that poll the instances of
        one VPC cost one call. (Not so in `reading()`, whose answers are always asked for after it was made.)

        Raises: AwsUnclear when it may or may not have happened; AwsError with AWS's code otherwise.
        """
        started = self.clock.now()
        for attempt in itertools.count():
            try:
                return self._ask(service, operation, parameters)
            except AwsError as error:
                pause_s = backoff_s(attempt)
                if not error.not_found or self.clock.now() + pause_s - started > self._patience_s:
                    raise
                self.clock.sleep(pause_s)
        raise AssertionError("unreachable")

    def _ask(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Answer:
        if not reads(operation):
            return self._sender.send(service, operation, parameters)
        request = question(service, operation, parameters)
        return self._under_way.get(request, lambda: self._sender.send(service, operation, parameters))

    def reading(self) -> AwsReading:
        """A fresh look: nothing remembered from earlier."""
        return AwsReading(self._sender)

    def patient(self, deadline_s: float) -> AwsCloud:
        """The same API for calls that name objects made moments ago: NotFound is retried until the deadline.

        Source: "Eventual consistency in the Amazon EC2 API".
        """
        return AwsCloud(self._sender, patience_s=deadline_s, under_way=self._under_way)


class AwsReading:
    """One look at AWS: each question is asked once, however many kinds ask it, and answered whole."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._answers: Once[tuple[Answer, ...]] = Once(keep=True)

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        """All items under `key` of all pages; a single object under `key` comes as the only item, a text as `{key: text}`.

        Raises: AwsError, AwsUnclear.
        """
        request = question(service, operation, parameters)
        pages = self._answers.get(request, lambda: self._pages(service, operation, parameters))
        return tuple(item for page in pages for item in _items(key, page.get(key)))

    def _pages(self, service: str, operation: str, parameters: Mapping[str, Any]) -> tuple[Answer, ...]:
        def send(**page_parameters: Any) -> Answer:
            return self._sender.send(service, operation, page_parameters)

        paging = self._sender.clients.paging(service, operation)
        if paging is None:
            return (send(**parameters),)
        from botocore.paginate import Paginator

        return tuple(Paginator(send, *paging).paginate(**parameters))


def _items(key: str, page: Any) -> list[Mapping[str, Any]]:
    if not page:
        return []
    if isinstance(page, str):
        return [{key: page}]
    return [page] if isinstance(page, Mapping) else list(page)
