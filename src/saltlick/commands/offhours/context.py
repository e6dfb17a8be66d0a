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

from saltlick import aws
from saltlick.commands.lock import environment_locks, wait_seconds
from saltlick.commands.release.context import single_environment, state_folder
from saltlick.commands.release.notifier import progress
from saltlick.commands.result import CommandResult
from saltlick.engine.wait import SystemClock
from saltlick.environment.pillar import Environment, parse_environment
from saltlick.errors import ApplyFailed, Locked, NotReady, SaltlickError
from saltlick.fleet.balancers import BalancerContext
from saltlick.fleet.ports import Call
from saltlick.offhours import custodian, switch, wording
from saltlick.offhours.application import FleetApplicationControl
from saltlick.offhours.aws import AwsAccount
from saltlick.offhours.pillar import OffHours, parse_offhours
from saltlick.offhours.records import LastSwitch, OffHoursRecord, OffHoursRecords, made
from saltlick.offhours.schedule import OnOff
from saltlick.release.context import Interrupted
from saltlick.release.pillar import Recipe, parse_recipe
from saltlick.release.steps import calls
from saltlick.salt_io.client import SaltClient
from saltlick.salt_io.fleet import FleetTimeouts, SaltFleet
from saltlick.salt_io.master_fleet import MasterFleet
from saltlick.salt_io.pillar import pillar_of
from saltlick.salt_io.progress import master_publishes
from saltlick.salt_io.secrets import SecretResolvingFleet
from saltlick.salt_io.signals import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from saltlick.commands.release.job import Caller
    from saltlick.offhours.switch import OffHoursContext, SwitchReport
    from saltlick.salt_io.progress import Progress


@dataclass(frozen=True, kw_only=True)
class OffHoursEnvironment:
    """What the pillar says of an environment that is switched; one that is production has none."""

    environment: Environment
    hours: OffHours
    recipe: Recipe | None

    @property
    def name(self) -> str:
        return self.environment.name


def offhours_environment(opts: Mapping[str, Any], name: object) -> OffHoursEnvironment:
    """The off-hours of one environment.

    Raises: InvalidInput, for production whatever else is said; with every problem of the pillar.
    """
    one = single_environment(opts, name)
    pillar = pillar_of(opts, one)
    declared = parse_environment(pillar, environment=one)
    hours = parse_offhours(pillar, declared)
    recipe = parse_recipe(pillar, declared) if pillar.get("release") else None
    return OffHoursEnvironment(environment=declared, hours=hours, recipe=recipe)


def records(opts: Mapping[str, Any]) -> OffHoursRecords:
    """What this master remembers of off-hours."""
    return OffHoursRecords(state_folder(opts) / "offhours")


def account_of(night: OffHoursEnvironment) -> AwsAccount:
    """The account, to look at."""
    return AwsAccount(aws.connect(night.environment.region), night.environment, night.hours)


def custodian_of(opts: Mapping[str, Any], night: OffHoursEnvironment) -> custodian.CustodianCommand:
    """Cloud Custodian: `saltlick_custodian` of the master's configuration, else where `saltlick custodian` puts it.

    Raises: NotReady.
    """
    command = custodian.find(str(opts.get("saltlick_custodian") or ""))
    return custodian.CustodianCommand(command, region=night.environment.region, environment=night.name)


@contextlib.contextmanager
def offhours_context(
    opts: Mapping[str, Any], night: OffHoursEnvironment, tell: Callable[[str], None] = lambda text: None
) -> Iterator[OffHoursContext]:
    """The world of a switch. Nothing is asked of anybody yet.

    Raises: NotReady where Custodian is missing, or no master runs, without whom no server can be told anything.
    """
    runs = custodian_of(opts, night)
    if not master_publishes(opts):
        raise NotReady(f"no salt-master runs here (nothing answers in {opts['sock_dir']}): nothing was touched")
    clock = SystemClock()
    cloud = aws.connect(night.environment.region, notify=tell)
    with contextlib.ExitStack() as stack:
        wire, here = SaltClient(opts), MasterFleet(opts, clock)
        stack.callback(wire.close)
        stack.callback(here.close)
        fleet = SecretResolvingFleet(SaltFleet(wire=wire, clock=clock, patience=FleetTimeouts.of(opts)), opts)
        master = SecretResolvingFleet(here, opts)
        ground = BalancerContext(night.name, lambda: night.environment, fleet, master, lambda: cloud, clock)
        yield switch.OffHoursContext(
            environment=night.environment,
            hours=night.hours,
            account=AwsAccount(cloud, night.environment, night.hours),
            custodian=runs,
            application=FleetApplicationControl(
                environment=night.environment,
                hours=night.hours,
                recipe=night.recipe,
                current_revision=_current_revision(night.recipe),
                ground=ground,
                tell=tell,
            ),
            clock=clock,
            tell=tell,
        )


def _current_revision(recipe: Recipe | None) -> Call | None:
    return calls.current(recipe.source, recipe.strategy.kind) if recipe else None


def switch_locked(
    opts: Mapping[str, Any],
    night: OffHoursEnvironment,
    side: OnOff,
    asking: Caller,
    *,
    moment: datetime,
    why: str,
    still: Callable[[], bool],
    stage: Callable[..., AbstractContextManager[OffHoursContext]] = offhours_context,
) -> CommandResult:
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
                        return CommandResult(
                            {"environment": night.name, "side": side.value, "why": "not due any more"}, said
                        )
                    told.step(night.name, f"offhours/{side.value}", why=why)
                    report = _walked(desk, night, side, asking, lambda: switch.switch(world, side))
                    desk.change(night.name, lambda record: _after(record, report, asking.who, moment))
                if report.complete:
                    told.step(night.name, f"offhours/is_{side.value}", why=why)
            return _answer(night, report, why)
    except Interrupted as stopped:
        said = f"{stopped}: what was switched stays so; the next `offhours.run` goes on from there"
        return CommandResult({"error": said, "environment": night.name}, retcode=ApplyFailed.exit_code)


def _walked(
    desk: OffHoursRecords, night: OffHoursEnvironment, side: OnOff, asking: Caller, story: Callable[[], SwitchReport]
) -> SwitchReport:
    """The walk; that it failed is remembered too, for `status`."""
    try:
        return story()
    except (SaltlickError, Interrupted) as error:
        last = LastSwitch(side=side, at=_now(), ok=False, by=asking.who, said=str(error))
        desk.change(night.name, lambda record: replace(record, last=last))
        raise


def _after(record: OffHoursRecord, report: SwitchReport, who: str, moment: datetime) -> OffHoursRecord:
    said = "; ".join(map(str, report.failed))
    last = LastSwitch(side=report.side, at=_now(), ok=report.complete, by=who, said=said)
    if not report.complete:
        return replace(record, last=last)
    done = made(record, last, moment)
    by_hand = report.side is OnOff.OFF and done.keep is not None  # it was switched off all the same
    return replace(done, keep=None) if by_hand else done


@contextlib.contextmanager
def _locked(
    opts: Mapping[str, Any], night: OffHoursEnvironment, side: OnOff, asking: Caller, told: Progress
) -> Iterator[None]:
    """The environment's lock for the block. What a killed run of our own left is taken over; nobody else's is.

    Raises: Locked, naming the holder.
    """
    name, remembered = night.name, records(opts)
    desk, job = (
        environment_locks(opts, asking.user or getpass.getuser()),
        asking.job or f"offhours-{uuid.uuid4().hex[:12]}",
    )
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


def _answer(night: OffHoursEnvironment, report: SwitchReport, why: str) -> CommandResult:
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
    lines = [f"{head} ({why}) at {wording.at(night.hours, _now())}", *(f"  {one}" for one in report.outcomes)]
    if report.failed or not report.complete:
        told["error"] = "; ".join([head, *(str(one) for one in report.failed)])
        return CommandResult(told, "\n".join(lines), ApplyFailed.exit_code)
    return CommandResult(told, "\n".join(lines))


def _now() -> datetime:
    return datetime.now(timezone.utc)
