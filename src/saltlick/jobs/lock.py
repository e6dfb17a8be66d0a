"""One lock per environment, for every job: deployments, releases, restores and off hours exclude each other.

Backups change nothing: they *share* the environment with each other and with a lock by hand, and keep out jobs that change it.

The lock is a JSON file that names its holder, made whole and at once, so that whoever is refused reads who, since when
and why. It is not a lock held by the kernel, because it has to outlive a killed job long enough to be told about: a
holder whose process is gone is *stale*, which is always said, and taken over only by jobs that converge from anywhere
(provisioning).
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import fcntl
import getpass
import hashlib
import json
import os
import socket
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from multiprocessing import util as multiprocessing_util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saltlick.errors import InvalidInput, Locked
from saltlick.jobs.processes import Process, Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from saltlick.engine.ports import Clock

POLL_S = 1.0
FOR_READERS_S = 60.0
"""How long a job that changes something waits for those that share, however little it was told to wait: an increment of a
backup comes every few minutes and takes seconds, and nobody should have to type a release twice because of it."""


class Mode(str, Enum):
    """What ends a lock."""

    JOB = "job"  # one command: released when it returns
    RUN = "run"  # a whole orchestration: jobs of the same process join it; released at the latest when that exits
    MANUAL = "manual"  # a person: released by a person, never stale, never waited for
    SHARED = "shared"  # one command that changes nothing, such as a backup: any number at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has an environment, since when and what for."""

    environment: str
    mode: Mode
    user: str
    host: str
    process: Process
    job: str
    reason: str
    since: str
    """UTC, ISO 8601."""

    def __str__(self) -> str:
        where = f"on {self.host}" if self.mode is Mode.MANUAL else f"on {self.host} (process {self.process.pid})"
        job = f", job {self.job}" if self.job else ""
        return f"{self.user} {where}{job} since {self.since}: {self.reason or 'no reason given'}"

    def as_data(self) -> dict[str, Any]:
        """JSON-able, the form on disk."""
        return {**dataclasses.asdict(self), "mode": self.mode.value}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Holder:
        return cls(**{**data, "mode": Mode(data["mode"]), "process": Process(**data["process"])})


@dataclass(frozen=True, slots=True)
class LockLease:
    """A lock we have. `notice` says that a stale one was taken over; `joined` that our orchestration had it already."""

    holder: Holder
    notice: str = ""
    joined: bool = False


class _RealClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, kw_only=True)
class Locks:
    """The locks in one folder (`<cachedir>/saltlick/locks`), beside the audit trail of who took and broke them."""

    folder: Path
    user: str = field(default_factory=getpass.getuser)
    host: str = field(default_factory=socket.gethostname)
    processes: Processes = field(default_factory=Processes)
    clock: Clock = field(default_factory=_RealClock)
    today: Callable[[], datetime] = lambda: datetime.now(timezone.utc)

    def read(self, environment: str) -> Holder | None:
        """Who has the environment, or None.

        Raises: Locked when the file is there and cannot be read as a lock.
        """
        path = self._path(environment)
        try:
            return Holder.from_data(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise Locked(f"{environment} is locked, by whom cannot be read: mend or remove {path} ({error})") from error

    def sharing(self, environment: str) -> tuple[Holder, ...]:
        """The jobs that share the environment now; those whose process is gone do not count."""
        with self._guard():
            return self._sharing(environment)

    def stale(self, holder: Holder) -> bool:
        """Whether the holder's process is gone. Of another host nobody can tell, so its locks count as alive."""
        if holder.mode is Mode.MANUAL or holder.host != self.host:
            return False
        return self.processes.find(holder.process.pid) != holder.process

    def take(
        self,
        environment: str,
        *,
        reason: str,
        job: str = "",
        mode: Mode = Mode.JOB,
        wait_s: float = 0.0,
        over_stale: bool = True,
        succeeds: str = "",
    ) -> LockLease:
        """Take the lock, waiting up to `wait_s` for another job (never for a person; who shares need not wait for one).

        For jobs that share it waits `FOR_READERS_S` at least.

        `succeeds` is the job that this one takes up: the lock it left behind, by dying or by `keep`, is taken over.

        Raises: Locked, naming the holder and the way on.
        """
        holder = self._new(environment, reason=reason, job=job, mode=mode)
        began = self.clock.now()
        waited_for = ""
        while True:
            with self._guard():
                there = self.read(environment)
                if there and self._joins(there, mode):
                    return LockLease(there, joined=True)
                if mode is Mode.SHARED and (there is None or there.mode is Mode.MANUAL or self.stale(there)):
                    return self._share(holder, beside=there)
                free = there is None or (over_stale and self.stale(there)) or self._left_behind(there, succeeds)
                sharing = () if mode in (Mode.SHARED, Mode.MANUAL) else self._sharing(environment)
                if free and not sharing:
                    return self._write(holder, instead_of=there, waited_for=waited_for)
            read = free and bool(sharing)
            waited_for = self._names(sharing) if read else waited_for
            remaining = began + (max(wait_s, FOR_READERS_S) if read else wait_s) - self.clock.now()
            hopeless = there is not None and not free and (there.mode is Mode.MANUAL or self.stale(there))
            if remaining <= 0 or hopeless:
                raise Locked(self._refusal(there) if there and not free else self._busy(sharing))
            self.clock.sleep(min(POLL_S, remaining))

    def release(self, taken: LockLease) -> None:
        """Give the lock back. Someone else's by now (broken by force) is left alone; a joined one stays."""
        if taken.joined:
            return
        with self._guard():
            if taken.holder.mode is Mode.SHARED:
                if (path := self._shared_path(taken.holder)).exists():
                    path.unlink()
                    self._audit("released", taken.holder)
            elif self.read(taken.holder.environment) == taken.holder:
                self._remove(taken.holder, "released")

    def keep(self, taken: LockLease, *, reason: str) -> Holder | None:
        """Leave the lock behind on purpose: it outlives this process until a person, or who takes up the job, ends it.

        Returns it as it is now; None when it was not ours any more.
        """
        with self._guard():
            if taken.joined or self.read(taken.holder.environment) != taken.holder:
                return None
            kept = dataclasses.replace(taken.holder, mode=Mode.MANUAL, reason=reason)
            self._replace(kept)
            self._audit("kept", kept)
            return kept

    def release_at_exit(self, taken: LockLease) -> None:
        """Release when this very process ends, however it does short of SIGKILL; forked children release nothing."""
        pid = os.getpid()

        def release() -> None:
            if os.getpid() == pid:
                self.release(taken)

        atexit.register(release)
        multiprocessing_util.Finalize(
            None, release, exitpriority=10
        )  # a forked job ends without atexit on some Pythons

    def release_run(self, environment: str) -> Holder | None:
        """End the orchestration's lock if this process has it; None when it has not."""
        with self._guard():
            there = self.read(environment)
            if there is None or not self._joins(there, Mode.JOB):
                return None
            self._remove(there, "released")
            return there

    def unlock(self, environment: str, *, reason: str = "", force: bool = False) -> Holder | None:
        """Remove a lock by hand: one's own by-hand lock or a stale one freely, any other (a kept one too) only by force. Audited.

        Raises: Locked when it is somebody's and `force` is not set.
        """
        with self._guard():
            there = self.read(environment)
            if there is None:
                return self._send_away(environment, reason) if force else None
            own = there.mode is Mode.MANUAL and there.user == self.user and not there.job
            if not (force or own or self.stale(there)):
                raise Locked(self._refusal(there))
            self._remove(there, "unlocked" if own else "forced", reason=reason)
            return there

    @contextlib.contextmanager
    def held(self, environments: Iterable[str], **how: Any) -> Iterator[tuple[LockLease, ...]]:
        """Have the locks of these environments for the block; `how` as for `take`. Ctrl-C and SIGTERM release them too."""
        with contextlib.ExitStack() as stack:
            taken = []
            for environment in sorted(
                set(environments)
            ):  # one order for all, so that two jobs never wait for each other
                taken.append(self.take(environment, **how))
                stack.callback(self.release, taken[-1])
            yield tuple(taken)

    def _new(self, environment: str, *, reason: str, job: str, mode: Mode) -> Holder:
        return Holder(
            environment=environment,
            mode=mode,
            user=self.user,
            host=self.host,
            process=self.processes.mine(),
            job=job,
            reason=reason,
            since=self.today().strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def _sharing(self, environment: str) -> tuple[Holder, ...]:
        """What a killed one left is removed: it changed nothing, so nobody has to look first."""
        there = []
        for path in sorted(self._path(environment).parent.glob(f"{environment}.*.shared.json")):
            holder = Holder.from_data(json.loads(path.read_text("utf-8")))
            if self.stale(holder):
                path.unlink()
                self._audit("gone", holder)
            else:
                there.append(holder)
        return tuple(there)

    def _send_away(self, environment: str, reason: str) -> Holder | None:
        """Let changes in although somebody still reads, at that job's risk."""
        sharing = self._sharing(environment)
        for holder in sharing:
            self._shared_path(holder).unlink()
            self._audit("forced", self._new(environment, reason=reason, job="", mode=holder.mode), previous=holder)
        return sharing[0] if sharing else None

    def _share(self, holder: Holder, *, beside: Holder | None) -> LockLease:
        self._put(holder, self._shared_path(holder))
        self._audit("shared", holder, previous=beside)
        return LockLease(holder, notice=f"goes on beside a lock that forbids changes only: {beside}" if beside else "")

    def _shared_path(self, holder: Holder) -> Path:
        mark = hashlib.sha256(json.dumps(holder.as_data(), sort_keys=True).encode()).hexdigest()[:12]
        return self._path(holder.environment).with_suffix(f".{mark}.shared.json")

    def _busy(self, sharing: tuple[Holder, ...]) -> str:
        name = sharing[0].environment
        who = self._names(sharing)
        way_on = f"Wait for it (lock_wait=600), or if it may be lost `salt-run environment.unlock {name} force=True`"
        return f"{name} is being read, so nothing may change it now: {who}. {way_on}"

    def _left_behind(self, there: Holder, job: str) -> bool:
        """Whether that very job had it and is over; a lock that a person took by hand belongs to no job."""
        return bool(job) and there.job == job and (there.mode is Mode.MANUAL or self.stale(there))

    def _joins(self, there: Holder, mode: Mode) -> bool:
        mine = there.host == self.host and there.process == self.processes.mine()
        return mine and there.mode is Mode.RUN and mode is not Mode.MANUAL

    def _names(self, sharing: tuple[Holder, ...]) -> str:
        return "; ".join(map(str, sharing))

    def _write(self, holder: Holder, *, instead_of: Holder | None, waited_for: str = "") -> LockLease:
        self._replace(holder)
        if instead_of is None:
            self._audit("taken", holder)
            return LockLease(holder, notice=f"waited for {waited_for}" if waited_for else "")
        self._audit("taken over", holder, previous=instead_of)
        which = "the lock that was kept" if instead_of.mode is Mode.MANUAL else "a stale lock, its process is gone"
        return LockLease(holder, notice=f"took over {which}: {instead_of}")

    def _replace(self, holder: Holder) -> None:
        """Whole and at once, whoever reads meanwhile."""
        self._put(holder, self._path(holder.environment))

    def _put(self, holder: Holder, path: Path) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self.folder, encoding="utf-8", delete=False) as whole:
            json.dump(holder.as_data(), whole)
        Path(whole.name).replace(path)

    def _remove(self, there: Holder, action: str, *, reason: str = "") -> None:
        self._path(there.environment).unlink()
        self._audit(action, self._new(there.environment, reason=reason, job="", mode=there.mode), previous=there)

    def _audit(self, action: str, holder: Holder, previous: Holder | None = None) -> None:
        line = {"action": action, **holder.as_data(), "previous": previous and previous.as_data()}
        with (self.folder / "audit.jsonl").open("a", encoding="utf-8") as trail:
            trail.write(json.dumps(line) + "\n")

    def _refusal(self, there: Holder) -> str:
        name = there.environment
        unlock = f"salt-run environment.unlock {name}"
        if self.stale(there):
            way_on = f"Its process is gone and may have left work half done: look first, then `{unlock}`"
        elif there.mode is Mode.MANUAL:
            way_on = f"Ask {there.user}, or `{unlock} force=True`"
        else:
            way_on = f"Wait for it (lock_wait=600), ask {there.user}, or if it is surely dead `{unlock} force=True`"
        return f"{name} is locked by {there}. {way_on}"

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """One process at a time looks and writes; the kernel lets go of it when a process dies."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / ".guard").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def _path(self, environment: str) -> Path:
        if not environment.replace("-", "").replace("_", "").isalnum():
            raise InvalidInput([f"{environment!r} is not a name for an environment"])
        return self.folder / f"{environment}.json"
