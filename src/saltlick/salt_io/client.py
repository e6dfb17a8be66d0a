"""Salt's bus as the fleet needs it: publish one call to a list of minions, hear what comes back, look up what was missed.

Source: Salt 3008's `LocalClient` and `MasterEvent`. Of the client only `pub` is used: what it makes of returns gives up
on minions that are busy (`gather_job_timeout`), which a release may not.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import salt.client
import salt.exceptions
import salt.utils.args
import salt.utils.event
from tornado.iostream import StreamClosedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from saltlick.fleet.ports import Call

CONNECT_TIMEOUT_S = 10
RECONNECT_S = 0.5
JOBS = "salt/job/"


class NotPublishedError(Exception):
    """The master did not take a job; the message says why."""


@dataclass(frozen=True, slots=True)
class Published:
    """A job that is out. `servers` are those whose accepted keys the master has: no other can get it."""

    jid: str
    servers: frozenset[str]


@dataclass(frozen=True, slots=True)
class MinionReturn:
    """What one minion returned for one job: `return`, `retcode`, `success`."""

    jid: str
    server: str
    content: Mapping[str, Any]


class Subscription(Protocol):
    """An open line to the bus: what is published on it is heard on it, however soon the answer comes."""

    def publish(self, servers: Sequence[str], call: Call) -> Published:
        """Send a call to exactly these minions. Raises: NotPublishedError."""

    def next_return(self, wait_s: float) -> MinionReturn | None:
        """The next return of any job, or None when none came within `wait_s`."""

    def cached_returns(self, jid: str) -> Mapping[str, Mapping[str, Any]]:
        """What the master's job cache holds of a job, by minion; nothing where there is no cache."""


class Client(Protocol):
    """Opens lines."""

    def open(self) -> contextlib.AbstractContextManager[Subscription]:
        """A line for one round of calls. Raises: NotPublishedError when the bus cannot be reached."""


class SaltClient:
    """The master of this machine."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._opts = dict(opts)
        self._client: Any = None

    @contextlib.contextmanager
    def open(self) -> Iterator[Subscription]:
        """Subscribed before anything is published: a return cannot come too early."""
        bus = salt.utils.event.get_event(
            "master", self._opts["sock_dir"], opts=self._opts, listen=False, raise_errors=True
        )
        try:
            if not bus.connect_pub(timeout=CONNECT_TIMEOUT_S):
                raise NotPublishedError("the master's event bus cannot be reached: is salt-master running here?")
            yield SaltSubscription(self.client, bus, self._opts)
        finally:
            bus.destroy()

    @property
    def client(self) -> Any:
        """Made once: its loaders take a tenth of a second."""
        if self._client is None:
            self._client = salt.client.get_local_client(mopts=self._opts)
        return self._client

    def close(self) -> None:
        """Let go of the client's sockets."""
        if self._client is not None:
            self._client.destroy()
            self._client = None


class SaltSubscription:
    """A `Line` over one client and one subscription."""

    def __init__(self, client: Any, bus: Any, opts: Mapping[str, Any]) -> None:
        self._client = client
        self._bus = bus
        self._opts = opts

    def publish(self, servers: Sequence[str], call: Call) -> Published:
        """A list target: only so does the master name who it has no key of."""
        arguments = salt.utils.args.condition_input(list(call.args), dict(call.kwargs))
        try:
            sent = self._client.pub(list(servers), call.function, arguments, tgt_type="list")
        except salt.exceptions.PublishError as error:
            if "could not resolve minions" in str(error):  # none of them has a key: Salt has no code for that
                return Published("", frozenset())
            raise NotPublishedError(f"the master refused the job: {error}") from error
        except salt.exceptions.SaltException as error:
            raise NotPublishedError(f"the master did not take the job: {_sentence(error)}") from error
        if not sent or not sent.get("jid"):
            return Published("", frozenset())
        return Published(str(sent["jid"]), frozenset(sent["minions"]))

    def next_return(self, wait_s: float) -> MinionReturn | None:
        """Salt takes a wait of 0 for "for ever". A bus that went away (a restarted master) is waited for."""
        try:
            event = self._bus.get_event(wait=max(wait_s, 0.01), tag=JOBS, full=True)
        except StreamClosedError:
            self._reconnect(wait_s)
            return None
        return parse(event) if event else None

    def cached_returns(self, jid: str) -> Mapping[str, Mapping[str, Any]]:
        """Source: `local_cache.get_jid`: {minion: {return, retcode, success}}, once a minion has returned."""
        fetch = self._client.returners.get(f"{self._opts.get('master_job_cache', 'local_cache')}.get_jid")
        if fetch is None or not self._opts.get("job_cache", True):
            return {}
        try:
            return dict(fetch(jid))
        except (OSError, salt.exceptions.SaltException):
            return {}

    def _reconnect(self, wait_s: float) -> None:
        self._bus.close_pub()
        time.sleep(min(RECONNECT_S, max(wait_s, 0.01)))
        with contextlib.suppress(OSError, StreamClosedError):
            self._bus.connect_pub(timeout=max(min(CONNECT_TIMEOUT_S, wait_s), 0.1))


def parse(event: Mapping[str, Any]) -> MinionReturn | None:
    """A return event; None for everything else that happens around a job, and for a return whose sender is not the tag's server.

    In some forms of events the sender chooses its `id`, so this is no proof; a signature is (`salt_io.signed`).
    """
    parts, content = str(event["tag"]).split("/"), event["data"]
    if len(parts) != 5 or parts[3] != "ret" or not isinstance(content, Mapping):
        return None
    if content.get("id") != parts[4] or content.get("jid", parts[2]) != parts[2]:
        return None
    return MinionReturn(parts[2], parts[4], content)


def _sentence(error: Exception) -> str:
    return str(error).strip().split(". ")[0] or f"{type(error).__name__}: is salt-master running here?"
