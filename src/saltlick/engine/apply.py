"""Applies a plan: each action starts as soon as all its dependencies are done.

A failed action stops only what needs it. Every action ends in an `Outcome`; nothing is dropped.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter

from saltlick.engine.executor import Hands
from saltlick.engine.plan import Action, Plan, Verb
from saltlick.engine.ports import Cloud
from saltlick.engine.resource import Key, Kind
from saltlick.engine.schedule import ScheduledStep, steps, urgency
from saltlick.errors import ApplyFailed, SaltlickError

WORKERS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one action. `error` is why it failed; `waits_for` the failed action because of which it never started."""

    verb: Verb
    key: Key
    title: str
    id: str = ""
    duration_ms: int = 0
    error: SaltlickError | None = None
    waits_for: Key | None = None
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        return self.error is None and self.waits_for is None and not self.interrupted


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a plan: one outcome per action, in the order in which they ended."""

    outcomes: tuple[Outcome, ...]
    duration_ms: int

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if not outcome.ok)

    @property
    def changed(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if o.ok and o.verb is not Verb.KEEP)

    def require_success(self) -> None:
        """Raises: ApplyFailed naming every action that failed and every one that waits for it."""
        if self.failed:
            lines = "".join(f"\n  {outcome.key}: {_why(outcome)}" for outcome in self.failed)
            raise ApplyFailed(
                f"{len(self.failed)} of {len(self.outcomes)} actions did not succeed; the rest is done, "
                f"run again to go on:{lines}"
            )


def _why(outcome: Outcome) -> str:
    if outcome.error is not None:
        return str(outcome.error)
    return f"not started, needs {outcome.waits_for}" if outcome.waits_for else "not started, interrupted"


Watcher = Callable[[Outcome], None]
"""Receives each outcome as it happens, from one thread."""


def apply(
    plan: Plan,
    kinds: Mapping[str, Kind],
    cloud: Cloud,
    *,
    watch: Watcher = lambda outcome: None,
    deadlines: Mapping[str, float] | None = None,
    workers: int = WORKERS,
) -> Report:
    """Apply the plan, up to `workers` actions at once; `deadlines` are seconds by kind (default 600).

    Ctrl-C (KeyboardInterrupt, SystemExit) starts nothing more, lets what is under way end, tells `watch` of it, then goes on up.

    Raises: NeedsDecision, InvalidInput before anything is touched; never for a failed action: see `Report.require_success`.
    """
    plan.require_decided()
    started = cloud.clock.now()
    run = _Run(plan, Hands(plan, kinds, cloud, deadlines or {}, uuid.uuid4().hex[:12]), watch)
    for action in plan.actions:
        if action.verb is Verb.KEEP and not run.has_step(action.key):
            run.record(_outcome(action, id=action.observed.id if action.observed else ""))
    run.everything(workers)
    return Report(tuple(run.outcomes), _ms(cloud.clock.now() - started))


def _outcome(action: Action, **more: object) -> Outcome:
    return Outcome(verb=action.verb, key=action.key, title=action.title, **more)  # type: ignore[arg-type]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


class _Run:
    """One apply: which steps are ready, under way, done or lost."""

    def __init__(self, plan: Plan, hands: Hands, watch: Watcher) -> None:
        self.outcomes: list[Outcome] = []
        self._hands = hands
        self._watch = watch
        self._steps = {step.name: step for step in steps(plan, hands.kinds)}
        self._order = TopologicalSorter({step.name: step.after for step in self._steps.values()})
        self._urgency = urgency(self._steps.values())
        self._lost: dict[str, Key] = {}

    def has_step(self, key: Key) -> bool:
        return any(step.action.key == key for step in self._steps.values())

    def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._watch(outcome)

    def everything(self, workers: int) -> None:
        """Start each step when its dependencies are done, until none is left."""
        self._order.prepare()
        under_way: dict[Future[Outcome], ScheduledStep] = {}
        with ThreadPoolExecutor(max_workers=workers) as pool:
            try:
                while self._order.is_active():
                    self._start_ready(pool, under_way)
                    self._finish_some(under_way)
            except BaseException:
                self._stop(under_way)
                raise

    def _start_ready(self, pool: ThreadPoolExecutor, under_way: dict[Future[Outcome], ScheduledStep]) -> None:
        ready = self._order.get_ready()
        while ready:
            for name in sorted(ready, key=self._urgency.__getitem__, reverse=True):
                step = self._steps[name]
                blocker = next((self._lost[need] for need in sorted(step.after) if need in self._lost), None)
                if blocker is None:
                    under_way[pool.submit(self._do, step)] = step
                else:
                    self._end(step, _outcome(step.action, waits_for=blocker), blocker)
            ready = self._order.get_ready()

    def _finish_some(self, under_way: dict[Future[Outcome], ScheduledStep]) -> None:
        if not under_way:
            return
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            step = under_way.pop(future)
            outcome = future.result()
            self._end(step, outcome, None if outcome.ok else step.action.key)

    def _end(self, step: ScheduledStep, outcome: Outcome, lost_to: Key | None) -> None:
        if lost_to is not None:
            self._lost[step.name] = lost_to
        if step.last or not outcome.ok:
            reported = any(earlier.key == outcome.key and not earlier.ok for earlier in self.outcomes[-200:])
            if outcome.ok or not reported:
                self.record(outcome)
        self._order.done(step.name)

    def _do(self, step: ScheduledStep) -> Outcome:
        clock = self._hands.cloud.clock
        started = clock.now()
        try:
            identity = self._hands.do(step)
        except SaltlickError as error:
            return _outcome(step.action, error=error, duration_ms=_ms(clock.now() - started))
        except Exception as error:
            wrapped = ApplyFailed(f"{type(error).__name__}: {error}")
            wrapped.__cause__ = error
            return _outcome(step.action, error=wrapped, duration_ms=_ms(clock.now() - started))
        return _outcome(step.action, id=identity, duration_ms=_ms(clock.now() - started))

    def _stop(self, under_way: dict[Future[Outcome], ScheduledStep]) -> None:
        """After Ctrl-C: record running steps when they end, and steps that never started as interrupted."""
        wait(under_way)
        for future, step in under_way.items():
            self.record(future.result())
            self._lost[step.name] = step.action.key
        reported = {outcome.key for outcome in self.outcomes}
        for step in self._steps.values():
            if step.last and step.action.key not in reported:
                self.record(_outcome(step.action, interrupted=True))
