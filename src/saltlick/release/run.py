"""A release under way. Each step goes through `Run.step`: in the journal before it starts, in the journal after it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from saltlick.errors import SaltlickError
from saltlick.fleet.detached import run_detached
from saltlick.fleet.judge import judged, labelled, no_reply
from saltlick.fleet.ports import Reply
from saltlick.release.context import ReleaseEvent
from saltlick.release.journal.control_request import ControlAction, ControlRequest
from saltlick.release.journal.controls import is_waiting
from saltlick.release.journal.left_behind import before, left_behind
from saltlick.release.journal.record import Phase, ReleaseRecord, Result, ServerRecord, ServerStatus, StepRecord
from saltlick.release.step_result import NOTHING_DONE, StepResult
from saltlick.release.steps.replies import ended

if TYPE_CHECKING:
    from saltlick.fleet.ports import Call
    from saltlick.fleet.step import Step
    from saltlick.release.context import ReleaseContext
    from saltlick.release.pillar import Recipe
    from saltlick.release.planning.batches import BatchRule

Replies = Mapping[str, Reply]
Doing = Callable[[tuple[str, ...]], Replies]
EVERYONE = ("",)
"""The address of a step that is about the release as a whole."""


class RollbackRequired(Exception):
    """The release has failed, the message says why: every touched server goes back."""


class Run:
    """What is known of a release while it runs: a mirror of its rows in the journal, and the ports."""

    def __init__(self, recipe: Recipe, record: ReleaseRecord, rule: BatchRule, context: ReleaseContext) -> None:
        self.recipe, self.rule, self.context = recipe, rule, context
        self.head = replace(record, servers=(), steps=(), requests=())
        self.servers = {server.name: server for server in record.servers}
        self.steps: dict[int, StepRecord] = {}
        self.batches_begun = 0
        """How many batches have begun."""
        earlier = context.journal.history(record.environment, application=record.application)
        self.left_before = frozenset(left_behind(before(earlier, record.id)))
        """Servers that an earlier release left out of traffic: nobody knows what they run."""
        self.moved = set(self.left_before)
        """Servers on which something was begun after their drain; the others run what they ran."""
        self._latest: dict[tuple[Phase, str, int, bool], StepRecord] = {}
        self._note(record.steps)
        self.batches = max((server.batch for server in record.servers), default=0)
        """How many there are, as planned."""
        self.silent: set[str] = set()
        """Servers whose last word was none."""
        self.attempt, self.failure = context.journal.attempt(record.id)
        self.aborted = ""
        self.open_controls: list[ControlRequest] = []
        """Pauses and promotes: followed, and so no longer in the journal, when a wait is over."""

    # -- facts

    @property
    def id(self) -> str:
        return self.head.id

    @property
    def record(self) -> ReleaseRecord:
        """As it is told: without steps."""
        return replace(self.head, servers=tuple(self.servers.values()))

    @property
    def pause(self) -> bool:
        """Whether it is to wait after the batch that is on its way."""
        return any(order.want is ControlAction.PAUSE for order in self.open_controls)

    @property
    def promoted(self) -> bool:
        """Whether the wait that it stands in is to end."""
        return any(order.want is ControlAction.PROMOTE for order in self.open_controls)

    def servers_with(self, *standings: ServerStatus) -> tuple[str, ...]:
        """Servers that stand so, in order."""
        return tuple(server.name for server in self.servers.values() if server.standing in standings)

    def last_step(self, phase: Phase, name: str, *, batch: int = 0, undo: bool = False) -> StepRecord | None:
        """The latest step of that name, if there was one."""
        return self._latest.get((phase, name, batch, undo))

    def _note(self, steps: Sequence[StepRecord]) -> None:
        for step in steps:
            self.steps[step.number] = step
            self._latest[step.phase, step.name, step.batch, step.undo] = step
            if step.batch and step.phase not in {Phase.HOOK, Phase.DRAIN}:
                self.moved.add(step.server)
            if step.phase is Phase.DRAIN and not step.undo:
                self.batches_begun = max(self.batches_begun, step.batch)

    # -- what is written

    def step(
        self,
        phase: Phase,
        name: str,
        servers: Sequence[str],
        do: Doing,
        *,
        batch: int = 0,
        undo: bool = False,
        entering: ServerStatus | None = None,
        leaving: ServerStatus | None = None,
        own_word: bool = True,
    ) -> StepResult:
        """Do one thing on some servers at once.

        `entering` is their status from its start, `leaving` that of the good ones after it. `own_word` says whether the replies
        tell which servers are silent.
        """
        first = next(reversed(self.steps), 0) + 1
        started = self.context.epoch()
        begun = [
            StepRecord(number=n, phase=phase, name=name, server=server, batch=batch, undo=undo, started=started)
            for n, server in enumerate(servers, start=first)
        ]
        self.context.journal.begin(self.id, begun, self._move(servers, entering, batch=batch) if entering else ())
        self._show(begun)
        try:
            replies = do(tuple(servers))
        except SaltlickError as error:  # a balancer that cannot be reached has an answer for each server, too
            replies = dict.fromkeys(servers, Reply(False, error=str(error)))
        over = [ended(step, replies.get(step.server), started, self.context.epoch()) for step in begun]
        good = [step.server for step in over if step.ok]
        failed = {step.server: labelled(step.name, step.detail) for step in over if not step.ok and step.server}
        moved = self._move(good, leaving) if leaving else ()
        self.context.journal.end(self.id, over, moved)
        self._show(over)
        if own_word:
            self._note_silence(replies)
        return StepResult({step.server: replies.get(step.server) or no_reply() for step in over}, failed)

    def call(
        self,
        phase: Phase,
        name: str,
        calls: Mapping[str, Call],
        *,
        deadline_s: float,
        step: Step | None = None,
        batch: int = 0,
        undo: bool = False,
    ) -> StepResult:
        """One call each, as one step; values are judged where the recipe has a `step` for it."""

        def do(_: tuple[str, ...]) -> Replies:
            replies = self.context.fleet.run(calls, deadline_s=deadline_s)
            return {server: judged(reply, step) for server, reply in replies.items()} if step else replies

        return self.step(phase, name, tuple(calls), do, batch=batch, undo=undo) if calls else NOTHING_DONE

    def job(
        self,
        phase: Phase,
        name: str,
        calls: Mapping[str, Call],
        *,
        job: str,
        deadline_s: float,
        step: Step | None = None,
        batch: int = 0,
        undo: bool = False,
    ) -> StepResult:
        """The same for what takes long: a detached job, by an id that is the same after a resume.

        On the way back a job may be tried again, once per time that somebody took the release up after it was stuck.
        An abort ends a build, which may take long and changes nothing that serves; a `once` task is never cut off.
        """
        direction = f"undo-{self.attempt}-" if undo else ""

        def do(_: tuple[str, ...]) -> Replies:
            job_id = f"{self.id}/{direction}{job}"
            stop = self._to_stop if phase is Phase.BUILD and not undo else lambda: ""
            replies = run_detached(
                self.context.fleet, self.context.clock, calls, job=job_id, deadline_s=deadline_s, stop=stop
            )
            return {server: judged(reply, step) for server, reply in replies.items()} if step else replies

        return self.step(phase, name, tuple(calls), do, batch=batch, undo=undo) if calls else NOTHING_DONE

    def _to_stop(self) -> str:
        self.read_controls()
        return self.aborted

    def _note_silence(self, replies: Replies) -> None:
        self.silent -= {server for server, reply in replies.items() if not reply.silent}
        self.silent |= {server for server, reply in replies.items() if reply.silent}

    def move(self, servers: Iterable[str], standing: ServerStatus, detail: str) -> None:
        """Servers stand elsewhere now, and why."""
        self.explain(dict.fromkeys(servers, detail), standing)

    def explain(self, why: Mapping[str, str], standing: ServerStatus | None = None) -> None:
        """Each server's own reason, and where it stands by that."""
        if moved := tuple(server for name in why for server in self._move([name], standing, detail=why[name])):
            self.context.journal.move(self.id, moved)

    def start_rollback(self, reason: str) -> None:
        """From here on everything goes back, whoever resumes it."""
        self.context.journal.undo(self.id, reason)
        self.context.journal.took(self.id, self.context.journal.orders(self.id))
        self.head, self.failure = replace(self.head, undoing=True, reason=reason), reason
        self.aborted = ""
        self.remark(f"going back: {reason}")

    def finish(self, result: Result, reason: str = "") -> None:
        """It is over."""
        self.context.journal.finish(self.id, result, reason)
        self.head = replace(self.head, result=result, reason=reason, ended=self.context.epoch())
        self.context.notify(ReleaseEvent(release=self.record, batches=self.batches))

    def announce(self) -> None:
        """Tell that it starts, or goes on."""
        self.context.notify(ReleaseEvent(release=self.record, batches=self.batches))

    def require_forward(self) -> None:
        """Raises: RollbackRequired when that was decided before the release was taken up again, or it is aborted already."""
        self.read_controls()
        if self.head.undoing or self.aborted:
            raise RollbackRequired(self.failure or self.aborted)

    def stop_at_once(self, why: str) -> None:
        """Stopped at once: nothing is undone, what is left is said, it can be taken up again."""
        left = "; ".join(
            f"{server.name}: {server.standing.value}"
            for server in self.servers.values()
            if server.standing in {ServerStatus.TOUCHED, ServerStatus.WAITING, ServerStatus.LEFT_OUT}
        )
        reason = f"{self.head.reason}. " if self.head.reason else ""
        self.head = replace(self.head, reason=f"{reason}stopped at once ({why}); left: {left or 'nothing'}")
        self.context.journal.explain(self.id, self.head.reason)
        self.remark(self.head.reason)

    def whole(self) -> ReleaseRecord:
        """As the journal has it."""
        record = self.context.journal.read(self.id)
        assert record is not None
        return record

    # -- what is heard and said

    def remark(self, text: str) -> None:
        """A sentence to whoever watches."""
        self.context.notify(ReleaseEvent(release=self.record, batches=self.batches, text=text))

    def read_controls(self) -> None:
        """Read the orders that came."""
        if self.context.interrupts.asked and not self.head.undoing:
            self.aborted = f"{self.context.interrupts.asked} by {self.head.who}"
        for order in self.context.journal.orders(self.id):
            if order.want is ControlAction.ABORT and not self.head.undoing:
                self.aborted = str(order)  # followed when the journal says that it goes back
            elif order not in self.open_controls:
                self._follow(order)

    def _follow(self, order: ControlRequest) -> None:
        self.remark(str(order))
        if order.want is ControlAction.PAUSE or (
            order.want is ControlAction.PROMOTE and is_waiting(self.steps.values())
        ):
            self.open_controls.append(order)
            return
        if order.want is ControlAction.PROMOTE:
            self.remark("the pause that was asked for is taken back" if self.pause else "it does not wait any more")
            self.close_wait()
        elif (server := self.servers.get(order.server)) and server.standing is ServerStatus.WAITING:
            self.move([server.name], ServerStatus.SKIPPED, str(order))
        self.context.journal.took(self.id, [order])

    def close_wait(self) -> None:
        """A wait is over, and what was said about it done."""
        self.context.journal.took(self.id, self.open_controls)
        self.open_controls = []

    def wait(self, seconds: float, ready: Callable[[], bool] = lambda: False) -> bool:
        """Wait until `ready`, at most so long; orders are heeded meanwhile, an abort ends it. Returns whether it was ready."""
        deadline = self.context.clock.now() + seconds
        while not ready():
            self.read_controls()
            left = deadline - self.context.clock.now()
            if self.aborted or left <= 0:
                return not self.aborted and ready()
            self.context.clock.sleep(min(1.0, left))
        return True

    def _move(
        self, servers: Iterable[str], standing: ServerStatus | None, *, batch: int = 0, detail: str | None = None
    ) -> tuple[ServerRecord, ...]:
        moved = []
        for name in servers:
            server = self.servers[name]
            server = replace(
                server,
                standing=standing or server.standing,
                batch=batch or server.batch,
                detail=server.detail if detail is None else detail,
            )
            self.servers[name] = server
            self.batches = max(self.batches, server.batch)
            moved.append(server)
        return tuple(moved)

    def _show(self, steps: Sequence[StepRecord]) -> None:
        self._note(steps)
        release, batches = self.record, self.batches
        for step in steps:
            self.context.notify(ReleaseEvent(release=release, step=step, batches=batches))
