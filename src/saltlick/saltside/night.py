"""An environment's night: its pillar, the ports to it, and one switch of it under the lock."""

from __future__ import annotations

import contextlib
import getpass
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from saltlick import aws, spec
from saltlick.engine.wait import SystemClock
from saltlick.errors import ApplyFailed, Locked, NotReady, SaltlickError
from saltlick.offhours import custodian, walk, words
from saltlick.offhours.account import AwsAccount
from saltlick.offhours.application import Applications
from saltlick.offhours.records import Last, Record, Records, made
from saltlick.offhours.schedule import Side
from saltlick.release.balancers import Ground
from saltlick.release.stage import Interrupted
from saltlick.saltside.answer import Answer
from saltlick.saltside.fleet import Patience, SaltFleet
from saltlick.saltside.interrupts import NAMES
from saltlick.saltside.locks import locks, wait_seconds
from saltlick.saltside.onmaster import OnMaster
from saltlick.saltside.pillar import pillar_of
from saltlick.saltside.progress import telling
from saltlick.saltside.sealed import Unsealed
from saltlick.saltside.subject import folder, one_name
from saltlick.saltside.teller import progress
from saltlick.saltside.wire import SaltWire
from saltlick.spec import offhours
from saltlick.spec import release as recipes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from saltlick.offhours.walk import Report, World
    from saltlick.saltside.progress import Progress
    from saltlick.saltside.underway import Caller


@dataclass(frozen=True, kw_only=True)
class Night:
    """What the pillar says of an environment that is switched; one that is production has none."""

    environment: spec.Environment
    hours: offhours.OffHours
    recipe: recipes.Recipe | None

    @property
    def name(self) -> str:
        return self.environment.name


def night_of(opts: Mapping[str, Any], name: object) -> Night:
    """The off-hours of one environment.

    Raises: InvalidInput, for production whatever else is said; with every problem of the pillar.
    """
    one = one_name(opts, name)
    pillar = pillar_of(opts, one)
    declared = spec.parse(pillar, environment=one)
    hours = offhours.parse(pillar, declared)
    recipe = recipes.parse(pillar, declared) if pillar.get("release") else None
    return Night(environment=declared, hours=hours, recipe=recipe)


def records(opts: Mapping[str, Any]) -> Records:
    """What this master remembers of off-hours."""
    return Records(folder(opts) / "offhours")


def account_of(night: Night) -> AwsAccount:
    """The account, to look at."""
    return AwsAccount(aws.connect(night.environment.region), night.environment, night.hours)


def custodian_of(opts: Mapping[str, Any], night: Night) -> custodian.CustodianCommand:
    """Cloud Custodian: `saltlick_custodian` of the master's configuration, else where `saltlick custodian` puts it.

    Raises: NotReady.
    """
    command = custodian.find(str(opts.get("saltlick_custodian") or ""))
    return custodian.CustodianCommand(command, region=night.environment.region, environment=night.name)


@contextlib.contextmanager
def staged(opts: Mapping[str, Any], night: Night, tell: Callable[[str], None] = lambda text: None) -> Iterator[World]:
    """The world of a switch. Nothing is asked of anybody yet.

    Raises: NotReady where Custodian is missing, or no master runs, without whom no server can be told anything.
    """
    runs = custodian_of(opts, night)
    if not telling(opts):
        raise NotReady(f"no salt-master runs here (nothing answers in {opts['sock_dir']}): nothing was touched")
    clock = SystemClock()
    cloud = aws.connect(night.environment.region, tell=tell)
    with contextlib.ExitStack() as stack:
        wire, here = SaltWire(opts), OnMaster(opts, clock)
        stack.callback(wire.close)
        stack.callback(here.close)
        fleet = Unsealed(SaltFleet(wire=wire, clock=clock, patience=Patience.of(opts)), opts)
        master = Unsealed(here, opts)
        ground = Ground(night.name, lambda: night.environment, fleet, master, lambda: cloud, clock)
        yield walk.World(
            environment=night.environment,
            hours=night.hours,
            account=AwsAccount(cloud, night.environment, night.hours),
            custodian=runs,
            application=Applications(
                environment=night.environment, hours=night.hours, recipe=night.recipe, ground=ground, tell=tell
            ),
            clock=clock,
            tell=tell,
        )


def switched(
    opts: Mapping[str, Any],
    night: Night,
    side: Side,
    asking: Caller,
    *,
    moment: datetime,
    why: str,
    still: Callable[[], bool],
    stage: Callable[..., AbstractContextManager[World]] = staged,
) -> Answer:
    """Have the lock, switch, remember how that came out. `still` is asked under the lock: whether it is still to be done.

    Raises: Locked with the holder, NotReady, InvalidInput: nothing was touched.
    """
    desk = records(opts)
    try:
        with _interruptible(), progress(opts, asking.job) as told:

            def tell(text: str) -> None:
                told.line(f"{night.name}: {text}")

            with stage(opts, night, tell) as world:
                with _locked(opts, night, side, asking, told):
                    if not still():
                        said = f"{night.name}: not due any more"
                        return Answer({"environment": night.name, "side": side.value, "why": "not due any more"}, said)
                    told.step(night.name, f"offhours/{side.value}", why=why)
                    report = _walked(desk, night, side, asking, lambda: walk.switch(world, side))
                    desk.change(night.name, lambda record: _after(record, report, asking.who, moment))
                if report.complete:
                    told.step(night.name, f"offhours/is_{side.value}", why=why)
            return _answer(night, report, why)
    except Interrupted as stopped:
        said = f"{stopped}: what was switched stays so; the next `offhours.run` goes on from there"
        return Answer({"error": said, "environment": night.name}, retcode=ApplyFailed.exit_code)


def _walked(desk: Records, night: Night, side: Side, asking: Caller, story: Callable[[], Report]) -> Report:
    """The walk; that it failed is remembered too, for `status`."""
    try:
        return story()
    except (SaltlickError, Interrupted) as error:
        last = Last(side=side, at=_now(), ok=False, by=asking.who, said=str(error))
        desk.change(night.name, lambda record: replace(record, last=last))
        raise


def _after(record: Record, report: Report, who: str, moment: datetime) -> Record:
    said = "; ".join(map(str, report.failed))
    last = Last(side=report.side, at=_now(), ok=report.complete, by=who, said=said)
    if not report.complete:
        return replace(record, last=last)
    done = made(record, last, moment)
    by_hand = report.side is Side.OFF and done.keep is not None  # it was switched off all the same
    return replace(done, keep=None) if by_hand else done


@contextlib.contextmanager
def _locked(opts: Mapping[str, Any], night: Night, side: Side, asking: Caller, told: Progress) -> Iterator[None]:
    """The environment's lock for the block. What a killed run of our own left is taken over; nobody else's is.

    Raises: Locked, naming the holder.
    """
    name, remembered = night.name, records(opts)
    desk, job = locks(opts, asking.user or getpass.getuser()), asking.job or f"offhours-{uuid.uuid4().hex[:12]}"
    left = remembered.read(name).job
    try:
        taken = desk.take(
            name,
            reason=f"offhours: {name} goes {side.value}",
            job=job,
            wait_s=wait_seconds(asking.lock_wait),
            over_stale=False,
            succeeds=left,
        )
    except Locked as refused:
        raise Locked(
            f"{name} does not go {side.value} for now, the next `offhours.run` tries again: {refused}"
        ) from None
    try:
        if taken.notice:
            told.line(f"{name}: {taken.notice}")
            told.step(name, "lock", notice=taken.notice)
        if not taken.joined:  # an orchestration's lock stands for more than this
            remembered.change(name, lambda record: replace(record, job=taken.holder.job))
        yield
    finally:
        remembered.change(name, lambda record: replace(record, job=""))
        desk.release(taken)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block, with an answer and an exit code. Salt itself would end it with 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hit(number: int, _frame: object) -> None:
        raise Interrupted(NAMES[signal.Signals(number)])

    before: dict[signal.Signals, Any] = {number: signal.signal(number, hit) for number in NAMES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answer(night: Night, report: Report, why: str) -> Answer:
    told: dict[str, Any] = {
        "environment": night.name,
        "side": report.side.value,
        "why": why,
        "complete": report.complete,
        "outcomes": [
            {"turn": one.turn, "name": one.name, "came": one.came.value, "why": one.why} for one in report.outcomes
        ],
    }
    head = f"{night.name} is {report.side.value}" if report.complete else f"{night.name} is not {report.side.value}"
    lines = [f"{head} ({why}) at {words.at(night.hours, _now())}", *(f"  {one}" for one in report.outcomes)]
    if report.failed or not report.complete:
        told["error"] = "; ".join([head, *(str(one) for one in report.failed)])
        return Answer(told, "\n".join(lines), ApplyFailed.exit_code)
    return Answer(told, "\n".join(lines))


def _now() -> datetime:
    return datetime.now(timezone.utc)
