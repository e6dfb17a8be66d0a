"""Admission: accepts a minion's key when AWS confirms it, independently of the minion.

    collect_evidence (keys, instances, consoles) → decide → accept, forget → repeat until all are admitted → ping

A key is accepted if exactly one running instance is that server (by its tags, network, subnet and declared address, or by its
id once it was admitted), its boot did not fail, and its console shows exactly that key's fingerprint, with the nonce of its
user data. Every other key is left unchanged and reported with the reason. What a stranger offered first is in nobody's way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from saltlick.engine.ports import Clock
from saltlick.engine.wait import SystemClock, until
from saltlick.environment import console
from saltlick.environment.key_decision import AdmissionDecision, RefusedKey, decide
from saltlick.environment.key_evidence import (
    AdmissionTargets,
    InstanceConsoles,
    InstanceMemory,
    KeyEvidence,
    KeyStore,
    collect_evidence,
)
from saltlick.errors import ServerFailed, WaitTimeout

Ping = Callable[[Sequence[str]], Iterable[str]]
"""Pings minions; returns those that answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The result of an admission: server names, and the keys that were not accepted."""

    accepted: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    forgotten: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[RefusedKey, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KeyAdmission:
    """Admits the servers of an environment. `notify` receives one line per change."""

    keys: KeyStore
    consoles: InstanceConsoles
    memory: InstanceMemory
    ping: Ping
    notify: Callable[[str], None] = lambda _: None
    clock: Clock = field(default_factory=SystemClock)

    def admit(self, targets: AdmissionTargets, *, deadline_s: float) -> Admission:
        """Wait until every server's key is accepted and every server answers.

        Raises: ServerFailed naming each server not admitted in time, with the reason and last console lines; AwsError.
        """
        started = self.clock.now()
        already = {key.id for key in self.keys.accepted()}
        forgotten: dict[str, str] = {}
        last = self._await_keys(targets, deadline_s, forgotten)
        if last.failed or last.waiting:
            raise ServerFailed(
                self._failure_message(targets, {**last.waiting, **last.failed}, self.clock.now() - started)
            )
        silent = self._await_answers(targets, max(deadline_s - (self.clock.now() - started), 1.0))
        if silent:
            why = dict.fromkeys(silent, "its key is accepted, and it does not answer")
            raise ServerFailed(self._failure_message(targets, why, self.clock.now() - started))
        old = already - forgotten.keys()
        return Admission(
            accepted=tuple(name for name in targets.servers if name not in old),
            already=tuple(name for name in targets.servers if name in old),
            forgotten=forgotten,
            refused=last.refused,
        )

    def sweep(self, targets: AdmissionTargets, *, destroyed: bool) -> Mapping[str, str]:
        """Delete the keys of servers that no longer exist; accept none. Used after a destroy. Returns ids and reasons.

        `destroyed` says that this very job saw the environment's network and deleted it. Otherwise the network has to be
        there, in two looks.

        Raises: AwsError.
        """
        first, second = self._look(targets), self._look(targets)
        if destroyed:
            first, second = (replace(seen, networks=seen.networks | {targets.environment}) for seen in (first, second))
        gone = decide(targets, first).outlived
        return self._forget({name: why for name, why in decide(targets, second).outlived.items() if name in gone})

    def _look(self, targets: AdmissionTargets) -> KeyEvidence:
        return collect_evidence(targets, self.keys, self.consoles, self.memory)

    def _await_keys(self, targets: AdmissionTargets, deadline_s: float, forgotten: dict[str, str]) -> AdmissionDecision:
        """Decide and act until every server is admitted or the deadline passes. Returns the last decision."""
        decisions: list[AdmissionDecision] = []
        reported: set[RefusedKey] = set()

        def act() -> AdmissionDecision:
            decision = decide(targets, self._look(targets))
            before = decisions[-1].outlived if decisions else {}
            gone = {name: why for name, why in decision.outlived.items() if name in before}
            forgotten.update(self._forget({**decision.forget, **gone}))
            self._take_in(targets, decision)
            for refused in sorted(set(decision.refused) - reported):
                if "yet" not in refused.reason:
                    self.notify(str(refused))
            reported.update(decision.refused)
            decisions.append(decision)
            return decision

        def settled(decision: AdmissionDecision) -> bool:
            return not decision.waiting and not decision.outlived.keys() - forgotten.keys()

        with contextlib.suppress(WaitTimeout):  # the last decision names the missing servers
            until(
                act,
                settled,
                what=f"keys of {targets.environment}",
                describe=lambda decision: ", ".join(decision.waiting),
                deadline_s=deadline_s,
                clock=self.clock,
            )
        kept = {(key.id, key.finger) for key in self.keys.accepted()}
        firm = {key for key in reported if "yet" not in key.reason and (key.id, key.finger) not in kept}
        return replace(decisions[-1], refused=tuple(sorted(firm | set(decisions[-1].refused))))

    def _take_in(self, targets: AdmissionTargets, decision: AdmissionDecision) -> None:
        """Accept keys, and bind each server that is in to the instance that showed its key."""
        for key in decision.accept:
            if not self.keys.accept(key):
                continue
            self.notify(f"{key.id}: accepted, its console shows the same fingerprint {key.finger}")
        there = {key.id for key in self.keys.accepted()} if decision.confirmed else set()
        for name, instance in decision.confirmed.items():
            server = targets.server(name)
            if server and name in there:
                self.memory.remember(targets.environment, server.address, instance)

    def _await_answers(self, targets: AdmissionTargets, deadline_s: float) -> tuple[str, ...]:
        """Ping until every server answers or the deadline passes. Returns those that did not answer."""
        missing = list(targets.servers)

        def ask() -> tuple[str, ...]:
            answered = set(self.ping(tuple(missing)))
            missing[:] = [name for name in missing if name not in answered]
            return tuple(missing)

        try:
            until(
                ask,
                lambda silent: not silent,
                what="answers of minions",
                describe=", ".join,
                deadline_s=deadline_s,
                clock=self.clock,
            )
        except WaitTimeout:
            return tuple(missing)
        return ()

    def _forget(self, stale: Mapping[str, str]) -> dict[str, str]:
        deleted = {name: why for name, why in stale.items() if self.keys.delete(name)}
        for name, why in deleted.items():
            self.notify(f"{name}: its key is forgotten, {why}")
        return deleted

    def _failure_message(self, targets: AdmissionTargets, why: Mapping[str, str], waited_s: float) -> str:
        instances = {
            instance.name: instance
            for instance in self.consoles.look().instances
            if instance.network == targets.environment
        }
        lines = [
            f"{len(why)} of {len(targets.servers)} servers of {targets.environment} are not in after {waited_s:.0f} s"
        ]
        for name, reason in sorted(why.items()):
            lines.append(f"{name}: {reason}")
            if name in instances:
                shown = console.last_lines(self.consoles.output(instances[name].id))
                lines += [f"  console of {instances[name].id}:", *(f"  | {line}" for line in shown)] if shown else []
        return "\n".join(lines)
