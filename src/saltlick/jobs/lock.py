"""One lock per environment, for every job: deployments, releases, restores and off-hours exclude each other.

Backups change nothing. They *share* the environment with each other and with a lock by hand, and keep out jobs that change it.

A lock is a JSON file that names its holder, so that a refused job can say who has it, since when and why. It is not a lock of
the kernel, because it has to outlive a killed job. A holder whose process is gone is *stale*. Jobs that can start from any
state (provisioning) take a stale lock over; all others refuse and name it.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import getpass
import os
import socket
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from multiprocessing import util as multiprocessing_util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saltlick.engine.wait import SystemClock
from saltlick.errors import Locked
from saltlick.jobs import lock_messages
from saltlick.jobs.holder import Holder, LockLease, Mode
from saltlick.jobs.lock_files import LockFiles
from saltlick.jobs.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from saltlick.engine.ports import Clock

POLL_S = 1.0
FOR_READERS_S = 60.0
"""How long a job that changes something waits for jobs that share, even with `lock_wait=0`: an increment of a backup comes every
few minutes and takes seconds."""


@dataclass(frozen=True, kw_only=True)
class Locks:
    """The locks in one folder (`<cachedir>/saltlick/locks`)."""

    folder: Path
    user: str = field(default_factory=getpass.getuser)
    host: str = field(default_factory=socket.gethostname)
    processes: Processes = field(default_factory=Processes)
    clock: Clock = field(default_factory=SystemClock)
    today: Callable[[], datetime] = lambda: datetime.now(timezone.utc)

    @cached_property
    def _files(self) -> LockFiles:
        return LockFiles(self.folder)

    def read(self, environment: str) -> Holder | None:
        """Return who has the environment, or None.

        Raises: Locked when the file is there and is not a lock.
        """
        return self._files.read(environment)

    def sharing(self, environment: str) -> tuple[Holder, ...]:
        """Return the jobs that share the environment now."""
        with self._files.guard():
            return self._sharing(environment)

    def stale(self, holder: Holder) -> bool:
        """Whether the holder's process is gone. Processes of another host cannot be seen: their locks count as alive."""
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
        """Take the lock, waiting up to `wait_s` for another job.

        A lock by hand is not waited for. A job that shares does not wait for a lock by hand or a stale one. Jobs that share are
        waited for `FOR_READERS_S` at least. `succeeds` is the job that this one continues: the lock that it left is taken over.

        Raises: Locked, naming the holder and the next command.
        """
        holder = self._new(environment, reason=reason, job=job, mode=mode)
        began = self.clock.now()
        waited_for = ""
        while True:
            with self._files.guard():
                current = self.read(environment)
                if current and self._joins(current, mode):
                    return LockLease(current, joined=True)
                if mode is Mode.SHARED and (current is None or current.mode is Mode.MANUAL or self.stale(current)):
                    return self._share(holder, beside=current)
                free = current is None or (over_stale and self.stale(current)) or self._left_by(current, succeeds)
                readers = () if mode in (Mode.SHARED, Mode.MANUAL) else self._sharing(environment)
                if free and not readers:
                    return self._write(holder, instead_of=current, waited_for=waited_for)
            only_readers = free and bool(readers)
            waited_for = lock_messages.names(readers) if only_readers else waited_for
            remaining = began + (max(wait_s, FOR_READERS_S) if only_readers else wait_s) - self.clock.now()
            hopeless = current is not None and not free and (current.mode is Mode.MANUAL or self.stale(current))
            if remaining <= 0 or hopeless:
                raise Locked(self._refusal(current) if current and not free else lock_messages.being_read(readers))
            self.clock.sleep(min(POLL_S, remaining))

    def release(self, lease: LockLease) -> None:
        """Give the lock back. A lock that is another's by now (broken by force) and a joined one stay."""
        if lease.joined:
            return
        with self._files.guard():
            if lease.holder.mode is Mode.SHARED:
                if self._files.remove_shared(lease.holder):
                    self._files.audit("released", lease.holder)
            elif self.read(lease.holder.environment) == lease.holder:
                self._remove(lease.holder, "released")

    def keep(self, lease: LockLease, *, reason: str) -> Holder | None:
        """Leave the lock behind on purpose, until a person or the job that continues this one ends it.

        Returns the lock as it is then; None when it was not ours any more.
        """
        with self._files.guard():
            if lease.joined or self.read(lease.holder.environment) != lease.holder:
                return None
            kept = dataclasses.replace(lease.holder, mode=Mode.MANUAL, reason=reason)
            self._files.write(kept)
            self._files.audit("kept", kept)
            return kept

    def release_at_exit(self, lease: LockLease, *, then: Callable[[], None] = lambda: None) -> None:
        """Release when this process ends, however it ends short of SIGKILL, and call `then`. Forked children do nothing."""
        pid = os.getpid()

        def release() -> None:
            if os.getpid() == pid:
                self.release(lease)
                then()

        atexit.register(release)
        multiprocessing_util.Finalize(None, release, exitpriority=10)  # some Pythons end a forked job without atexit

    def release_run(self, environment: str) -> Holder | None:
        """End the orchestration's lock if this process has it; None when it has not."""
        with self._files.guard():
            current = self.read(environment)
            if current is None or not self._joins(current, Mode.JOB):
                return None
            self._remove(current, "released")
            return current

    def unlock(self, environment: str, *, reason: str = "", force: bool = False) -> Holder | None:
        """Remove a lock by hand. One's own lock by hand and a stale one go freely, any other (a kept one too) only by force.

        Raises: Locked when it is another's and `force` is not set.
        """
        with self._files.guard():
            current = self.read(environment)
            if current is None:
                return self._break_shared(environment, reason) if force else None
            own = current.mode is Mode.MANUAL and current.user == self.user and not current.job
            if not (force or own or self.stale(current)):
                raise Locked(lock_messages.not_unlocked(current))
            self._remove(current, "unlocked" if own else "forced", reason=reason)
            return current

    @contextlib.contextmanager
    def held(self, environments: Iterable[str], **how: Any) -> Iterator[tuple[LockLease, ...]]:
        """Have the locks of these environments for the block; `how` as for `take`.

        All jobs take them in one order, so that two jobs never wait for each other.
        """
        with contextlib.ExitStack() as stack:
            leases = []
            for environment in sorted(set(environments)):
                leases.append(self.take(environment, **how))
                stack.callback(self.release, leases[-1])
            yield tuple(leases)

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
        """The living ones. What a killed one left is removed: it changed nothing, so nothing has to be looked at first."""
        readers = self._files.read_shared(environment)
        for holder in filter(self.stale, readers):
            self._files.remove_shared(holder)
            self._files.audit("gone", holder)
        return tuple(holder for holder in readers if not self.stale(holder))

    def _break_shared(self, environment: str, reason: str) -> Holder | None:
        """Let changes in although jobs still read, at the risk of those jobs."""
        readers = self._sharing(environment)
        for holder in readers:
            self._files.remove_shared(holder)
            by = self._new(environment, reason=reason, job="", mode=holder.mode)
            self._files.audit("forced", by, previous=holder)
        return readers[0] if readers else None

    def _share(self, holder: Holder, *, beside: Holder | None) -> LockLease:
        self._files.write_shared(holder)
        self._files.audit("shared", holder, previous=beside)
        return LockLease(holder, notice=f"goes on beside a lock that forbids changes only: {beside}" if beside else "")

    def _write(self, holder: Holder, *, instead_of: Holder | None, waited_for: str = "") -> LockLease:
        self._files.write(holder)
        if instead_of is None:
            self._files.audit("taken", holder)
            return LockLease(holder, notice=f"waited for {waited_for}" if waited_for else "")
        self._files.audit("taken over", holder, previous=instead_of)
        return LockLease(holder, notice=lock_messages.taken_over(instead_of))

    def _remove(self, current: Holder, action: str, *, reason: str = "") -> None:
        self._files.remove(current.environment)
        by = self._new(current.environment, reason=reason, job="", mode=current.mode)
        self._files.audit(action, by, previous=current)

    def _left_by(self, current: Holder, job: str) -> bool:
        """Whether that very job had it and is over. A lock that a person took by hand belongs to no job."""
        return bool(job) and current.job == job and (current.mode is Mode.MANUAL or self.stale(current))

    def _joins(self, current: Holder, mode: Mode) -> bool:
        mine = current.host == self.host and current.process == self.processes.mine()
        return mine and current.mode is Mode.RUN and mode is not Mode.MANUAL

    def _refusal(self, current: Holder) -> str:
        return lock_messages.refusal(current, stale=self.stale(current))
