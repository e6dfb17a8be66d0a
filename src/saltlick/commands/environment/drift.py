"""The look for drift, of which people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.commands.announce import announce, declared_notify
from saltlick.commands.environment.estate import load
from saltlick.commands.job import job_progress, open_store
from saltlick.engine.plan import Verb
from saltlick.environment import provision
from saltlick.errors import SaltlickError
from saltlick.kinds import KINDS
from saltlick.notify.condition import Condition, Feature, Severity
from saltlick.notify.jobs import green, unseen
from saltlick.salt_io.pillar import environment_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from saltlick.engine.plan import Plan
    from saltlick.jobs.request import Caller

NAME = "drift"
SHOWN = 5


def announced_drift(opts: Mapping[str, Any], name: object, caller: Caller) -> Plan:
    """The plan that shows what differs; whoever the pillars name under `notify` is told.

    Raises: InvalidInput, AwsError; that nobody can see whether there is drift is told, too.
    """
    names = environment_names(opts, name)
    declared = declared_notify(opts, names)
    with job_progress(opts, caller.job_id) as progress, open_store(opts) as store:
        try:
            estate = load(opts, names)
            plan = provision.plan(estate, aws.connect(estate.region), KINDS)
        except SaltlickError as error:
            what = "AWS is as the pillar declares"
            lost = [unseen(name, Feature.ENVIRONMENT, NAME, what, str(error)) for name in names]
            announce(opts, store, declared, lost, progress.line)
            raise
        announce(opts, store, declared, [_condition(plan, name) for name in names], progress.line)
    return plan


def _condition(plan: Plan, name: str) -> Condition:
    differing = list(_differing(plan, name))
    if not differing:
        return green(name, Feature.ENVIRONMENT, NAME)
    more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
    return Condition(
        environment=name,
        feature=Feature.ENVIRONMENT,
        name=NAME,
        severity=Severity.WARNING,
        known=(f"AWS is not as the pillar declares: {', '.join(differing[:SHOWN])}{more}",),
        unknown=("whether AWS or the pillar was changed, and by whom",),
        next_commands=(f"salt-run environment.drift {name}", f"salt-run environment.plan {name}"),
    )


def _differing(plan: Plan, name: str) -> Iterator[str]:
    for action in plan.actions:
        if action.key.environment == name and (action.verb is not Verb.KEEP or action.undecided or action.drift):
            yield action.key.address
    for observed in plan.undeclared:
        if observed.key.environment == name:
            yield f"{observed.key.address} (not declared)"
