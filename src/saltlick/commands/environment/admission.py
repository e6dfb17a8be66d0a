"""The master's gate: which minion keys an environment's servers get accepted, and which are forgotten after them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import salt.client

from saltlick import aws
from saltlick.commands.environment.estate import environments_of
from saltlick.commands.job import job_progress, open_store
from saltlick.commands.result import plain
from saltlick.commands.state import state
from saltlick.environment.admission import KeyAdmission
from saltlick.environment.console import Consoles
from saltlick.environment.key_decision import AdmissionDecision, decide
from saltlick.environment.key_evidence import AdmissionTargets, ExpectedServer, collect_evidence
from saltlick.environment.known_instances import KnownInstances, remade
from saltlick.environment.pillar import Environment, declared_servers
from saltlick.environment.pillar.boot import boot_nonce
from saltlick.environment.pillar.servers import BootAs
from saltlick.errors import InvalidInput, Problem
from saltlick.salt_io.keys import SaltKeys, boot_secret
from saltlick.salt_io.pillar import known_environments, require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from saltlick.engine.plan import Plan
    from saltlick.engine.ports import Cloud
    from saltlick.environment.admission import Admission
    from saltlick.jobs.request import Caller
    from saltlick.jobs.store import Store

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 10


def admitted(opts: Mapping[str, Any], name: str, *, deadline_s: float | None = None, caller: Caller) -> dict[str, Any]:
    """Wait until every server of the environment is accepted and answers."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        declared = environments_of(opts, name)[name]
        home = admission_targets(opts, declared)
        cloud = aws.connect(declared.region)
        if opts.get("test"):
            with SaltKeys(opts) as keys, open_store(opts) as store:
                return _planned(decide(home, collect_evidence(home, keys, Consoles(cloud), KnownInstances(store))))
        with job_progress(opts, caller.job_id) as progress, SaltKeys(opts) as keys, open_store(opts) as store:
            seen = _key_admission(opts, keys, store, cloud, progress.line).admit(
                home, deadline_s=_deadline_s(declared, deadline_s)
            )
            progress.step(name, "admitted", **plain(seen))
        return _admitted(seen)

    return state(name, step)


def forget_stale_keys(opts: Mapping[str, Any], plan: Plan, cloud: Cloud) -> dict[str, str]:
    """Forget the keys of servers that this destroy deleted; ids and why. No key, no question to AWS."""
    gone: dict[str, str] = {}
    seen = {action.key.environment for action in plan.actions if action.key.kind == "vpc"}
    with SaltKeys(opts) as keys, open_store(opts) as store:
        if keys.accepted():
            for name in plan.environments:
                targets = admission_targets(opts, environments_of(opts, name)[name])
                gone |= _key_admission(opts, keys, store, cloud, log.info).sweep(targets, destroyed=name in seen)
    return gone


def release_instances(opts: Mapping[str, Any], plan: Plan) -> None:
    """Forget which instances the servers were whose instances this plan makes, replaces or deletes. Before it is applied."""
    with open_store(opts) as store:
        for environment, addresses in remade(plan).items():
            KnownInstances(store).release(environment, addresses)


def admission_targets(opts: Mapping[str, Any], declared: Environment) -> AdmissionTargets:
    """The servers that become minions, and the other environments, whose keys are none of our business."""
    others = tuple(other for other in known_environments(opts) if other != declared.name)
    secret = boot_secret(opts)
    if not secret:
        raise InvalidInput([Problem("", "the master has no key pair yet: start it first")], what="admission")
    expected = tuple(
        ExpectedServer(
            name=server.name,
            address=server.address,
            subnet=server.subnet,
            private_ip=server.private_ip,
            nonce="" if server.boot is BootAs.MASTER else boot_nonce(secret, declared.name, server.name),
        )
        for server in declared_servers(declared)
        if server.boot is not BootAs.NONE
    )
    return AdmissionTargets(environment=declared.name, expected=expected, others=others)


def _key_admission(
    opts: Mapping[str, Any], keys: SaltKeys, store: Store, cloud: Cloud, notify: Callable[[str], None]
) -> KeyAdmission:
    return KeyAdmission(
        keys=keys,
        consoles=Consoles(cloud),
        memory=KnownInstances(store),
        ping=lambda names: ping(opts, names),
        notify=notify,
        clock=cloud.clock,
    )


def ping(opts: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    """The minions that answer; a list target, so that nobody else is asked and nobody is left out silently."""
    with salt.client.get_local_client(mopts=dict(opts)) as client:
        answers = client.cmd(list(names), "test.ping", tgt_type="list", timeout=ANSWER_TIMEOUT_S)
    return tuple(name for name, answer in sorted(answers.items()) if answer is True)


def _deadline_s(declared: Environment, given: float | None) -> float:
    if given is not None:
        return float(given)
    of_groups = [group.ready_s for group in declared.servers.values() if group.ready_s is not None]
    return float(max([declared.deadlines.ready_s, *of_groups]))


def _planned(decision: AdmissionDecision) -> dict[str, Any]:
    changes = {key.id: {"key": "accepted", "finger": key.finger} for key in decision.accept}
    changes |= {
        name: {"key": "forgotten", "why": why} for name, why in {**decision.outlived, **decision.forget}.items()
    }
    waiting = [f"{name}: {why}" for name, why in {**decision.waiting, **decision.failed}.items()]
    comment = "\n".join([*waiting, *map(str, decision.refused)]) or "every server is in"
    return {"result": None if changes or waiting else True, "changes": changes, "comment": comment}


def _admitted(seen: Admission) -> dict[str, Any]:
    changes: dict[str, Any] = {name: {"key": "accepted"} for name in seen.accepted}
    changes |= {name: {"key": "forgotten", "why": why} for name, why in seen.forgotten.items() if name not in changes}
    count = len(seen.accepted) + len(seen.already)
    lines = [f"{count} servers are in, {len(seen.accepted)} of them new", *map(str, seen.refused)]
    return {"changes": changes, "comment": "\n".join(lines)}
