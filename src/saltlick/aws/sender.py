"""Sends one request to AWS until it is answered: waits out throttling, repeats reads, raises every other error."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from saltlick.aws.throttle import Pace, backoff_s
from saltlick.errors import AwsError, AwsThrottled, AwsUnclear

if TYPE_CHECKING:
    from saltlick.aws.clients import ClientSource
    from saltlick.engine.ports import Clock

OnCall = Callable[[str, str, float], None]
Notify = Callable[[str], None]

THROTTLED_S = 120.0
"""For how long we go on while AWS says "slower"."""
SILENT_S = 20.0
"""For how long an answer is sought to a call that is safe to repeat."""

log_ = logging.getLogger(__name__)


def log(text: str) -> None:
    """Log a line about slow, silent or throttling AWS calls; the default `notify`."""
    log_.warning(text)


def reads(operation: str) -> bool:
    """Whether the operation changes nothing, so that it may be repeated at will."""
    return operation.startswith(("describe_", "get_", "list_"))


class Sender:
    """Sends requests of one region. Thread-safe."""

    def __init__(
        self,
        clients: ClientSource,
        clock: Clock,
        *,
        on_call: OnCall | None = None,
        notify: Notify = log,
    ) -> None:
        self.clients = clients
        self.region = clients.region
        self.clock = clock
        self._on_call = on_call
        self._notify = notify
        self._pace = Pace()

    def send(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """One request and its answer.

        Raises: AwsThrottled after two minutes of "slower"; AwsUnclear for a change that may have happened, or a read
            without an answer for 20 s; AwsError for a refusal.
        """
        started = self.clock.now()
        name = f"{service}:{operation}"
        self._hold_back(name)
        for attempt in itertools.count():
            try:
                answer = self._once(service, operation, parameters)
            except AwsError as error:
                pause_s = self._pause_s(name, operation, error, attempt, self.clock.now() - started)
                if pause_s is None:
                    raise
                self._notify(f"{error}: again in {pause_s:.1f} s")
                self.clock.sleep(pause_s)
            else:
                self._pace.answered(name)
                return answer
        raise AssertionError("unreachable")

    def _hold_back(self, name: str) -> None:
        pause_s = self._pace.before(name)
        if pause_s:
            self.clock.sleep(pause_s)

    def _once(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        from saltlick.aws.translate import translate

        method = getattr(self.clients.of(service), operation)
        started = self.clock.now()
        try:
            answer: Mapping[str, Any] = method(**parameters)
        except (ClientError, BotoCoreError) as error:
            raise translate(operation, error) from error
        except ResponseParserError as error:  # something between us and AWS answered, and not in AWS's language
            raise AwsUnclear(operation, "ResponseParserError", str(error)) from error
        finally:
            if self._on_call:
                self._on_call(service, operation, self.clock.now() - started)
        return answer

    def _pause_s(self, name: str, operation: str, error: AwsError, attempt: int, passed_s: float) -> float | None:
        """How long to wait before the call is repeated, or None when it must not be."""
        from saltlick.aws.translate import NeverSent

        if isinstance(error, AwsThrottled):
            pause_s, patience_s = self._pace.throttled(name, attempt), THROTTLED_S
        elif isinstance(error, NeverSent) or (isinstance(error, AwsUnclear) and reads(operation)):
            pause_s, patience_s = backoff_s(attempt), SILENT_S
        else:
            return None
        return pause_s if passed_s + pause_s <= patience_s else None
