"""Admission: accepting a minion's key because AWS, and not the minion, vouches for it.

    look (keys, instances, consoles) → decide → accept, forget → again, until all are in → they answer

A pending key is accepted if one running instance of that name and environment exists and its console shows exactly that
key's fingerprint. Every other key is left where it is and named, with the reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from saltlick.engine.ports import Clock
from saltlick.engine.wait import SystemClock, until
from saltlick.environment import console
from saltlick.environment.console import ConsoleInstance
from saltlick.errors import ServerFailed, WaitTimeout


class OfferedKey(Protocol):
    """One public key that somebody offered under a minion id."""

    @property
    def id(self) -> str: ...

    @property
    def finger(self) -> str: ...


class KeyStore(Protocol):
    """The master's keys."""

    def pending(self) -> Sequence[OfferedKey]: ...

    def accepted(self) -> Sequence[OfferedKey]: ...

    def denied(self) -> Sequence[OfferedKey]: ...

    def accept(self, key: OfferedKey, /) -> bool:
        """Accept exactly this pending key; False when it is not the one that waits (any more)."""
        ...

    def delete(self, minion_id: str, /) -> bool:
        """Forget an accepted key; False when there is none."""
        ...


class Witness(Protocol):
    """What AWS says; see `console.Consoles`."""

    def instances(self) -> tuple[ConsoleInstance, ...]: ...

    def output(self, instance_id: str, /) -> str: ...


Ping = Callable[[Sequence[str]], Iterable[str]]
"""Asks minions whether they are there; returns those that answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One look at both sides. `consoles` is by instance id, of those whose word is needed."""

    pending: tuple[OfferedKey, ...] = ()
    accepted: tuple[OfferedKey, ...] = ()
    denied: tuple[OfferedKey, ...] = ()
    instances: tuple[ConsoleInstance, ...] = ()
    consoles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class RefusedKey:
    """A key that stays where it is, and why."""

    id: str
    finger: str
    reason: str

    def __str__(self) -> str:
        return f"{self.id}: key {self.finger[:23]}… is not accepted: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionDecision:
    """What to do with the keys: `accept` these, `forget` the accepted ones under these ids, leave `refused` alone.

    `waiting` says of each expected server that is not in yet what is missing; `failed` what went wrong at first boot.
    """

    accept: tuple[OfferedKey, ...] = ()
    forget: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[RefusedKey, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What came of it: server names, and the keys that were left alone."""

    accepted: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    forgotten: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[RefusedKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionTargets:
    """Whose keys we decide about: the servers that the environment declares, beside the other environments' names."""

    environment: str
    servers: tuple[str, ...]
    others: tuple[str, ...] = ()

    def owns(self, minion_id: str) -> bool:
        """Whether a key under this id is, or was, of a server of ours (`prod-eu-app-1` is not `prod`'s)."""
        if minion_id in self.servers:
            return True
        mine = f"{self.environment}-"
        nearer = [f"{other}-" for other in self.others if len(other) > len(self.environment)]
        return minion_id.startswith(mine) and not minion_id.startswith(tuple(nearer))


def decide(household: AdmissionTargets, seen: Sighting) -> AdmissionDecision:
    """Judge every key. Pure: nothing is touched."""
    accepted = {key.id: key for key in seen.accepted}
    forget = _outlived(household, seen) | _replaced(household, seen)
    verdicts = [(key, _verdict(household, seen, key)) for key in seen.pending]
    waiting, failed = _absent(household, seen, frozenset(accepted.keys() - forget.keys()))
    return AdmissionDecision(
        accept=tuple(key for key, reason in verdicts if not reason),
        forget=forget,
        refused=tuple(
            sorted(
                [RefusedKey(key.id, key.finger, reason) for key, reason in verdicts if reason]
                + [refused for key in seen.denied if (refused := _second(household, accepted, forget, key))]
            )
        ),
        waiting=waiting,
        failed=failed,
    )


def _verdict(household: AdmissionTargets, seen: Sighting, key: OfferedKey) -> str:
    """Why a pending key is not accepted; empty when it is."""
    if key.id not in household.servers:
        return f"{household.environment} declares no server of that name"
    instance, reason = _instance_of(household, seen, key.id)
    if instance is None:
        return reason
    shown = console.fingers(seen.consoles.get(instance.id, ""))
    if not shown:
        return f"the console of its instance {instance.id} shows no fingerprint yet"
    if len(shown) > 1:
        return f"the console of its instance {instance.id} shows {len(shown)} different fingerprints"
    if key.finger not in shown:
        return (
            f"it is not its instance's, the console of {instance.id} shows {next(iter(shown))} "
            f"(`salt-key -d {key.id}` removes a stranger's, and the server's own gets its turn)"
        )
    return ""


def _instance_of(household: AdmissionTargets, seen: Sighting, name: str) -> tuple[ConsoleInstance | None, str]:
    """The one running instance of a server, or what is in the way."""
    living = [one for one in seen.instances if one.name == name and one.environment == household.environment]
    running = [one for one in living if one.state == "running"]
    if len(living) > 1:
        return None, f"{len(living)} instances have that name: {', '.join(one.id for one in living)}"
    if not running:
        return None, f"its instance is {living[0].state}" if living else "there is no instance of that name"
    return running[0], ""


def _outlived(household: AdmissionTargets, seen: Sighting) -> dict[str, str]:
    """Accepted keys whose server AWS does not have any more, whatever it was called with us."""
    there = {one.name for one in seen.instances}
    return {
        key.id: "there is no instance of that name any more"
        for key in seen.accepted
        if household.owns(key.id) and key.id not in there
    }


def _replaced(household: AdmissionTargets, seen: Sighting) -> dict[str, str]:
    """Accepted keys of a predecessor: the instance of that name now shows another key, and that key is the one being denied."""
    found = {}
    for key in seen.accepted:
        instance, _ = _instance_of(household, seen, key.id)
        shown = console.fingers(seen.consoles.get(instance.id, "")) if instance else frozenset()
        knocking = {denied.finger for denied in seen.denied if denied.id == key.id}
        if instance and len(shown) == 1 and key.finger not in shown and shown <= knocking:
            found[key.id] = f"it was its predecessor's; {instance.id} has another"
    return found


def _second(
    household: AdmissionTargets, accepted: Mapping[str, OfferedKey], forget: Mapping[str, str], key: OfferedKey
) -> RefusedKey | None:
    if not household.owns(key.id) or key.id in forget:
        return None
    known = accepted.get(key.id)
    if known is not None and known.finger == key.finger:
        return None  # left over from the time when a predecessor's key stood in its way
    return RefusedKey(key.id, key.finger, "it is a second key for a name that has one")


def _absent(
    household: AdmissionTargets, seen: Sighting, accepted: frozenset[str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    waiting, failed = {}, {}
    offered = {key.id: key for key in seen.pending}
    for name in household.servers:
        if name in accepted:
            continue
        instance, reason = _instance_of(household, seen, name)
        if instance and (problem := console.failure(seen.consoles.get(instance.id, ""))):
            failed[name] = f"its first boot failed: {problem}"
        elif name in offered:
            waiting[name] = _verdict(household, seen, offered[name]) or "its key was accepted just now"
        else:
            waiting[name] = reason or "it has not offered a key yet"
    return waiting, failed


def look(household: AdmissionTargets, keys: KeyStore, witness: Witness) -> Sighting:
    """See both sides. Consoles are asked only of servers that are not in, or whose name somebody else knocks under.

    Raises: AwsError, AwsUnclear.
    """
    pending, accepted, denied = tuple(keys.pending()), tuple(keys.accepted()), tuple(keys.denied())
    instances = witness.instances()
    settled = {key.id for key in accepted} - {key.id for key in denied}
    doubtful = set(household.servers) - settled
    consoles = {
        one.id: witness.output(one.id) for one in instances if one.name in doubtful and _is_ours(household, one)
    }
    return Sighting(pending=pending, accepted=accepted, denied=denied, instances=instances, consoles=consoles)


def _is_ours(household: AdmissionTargets, instance: ConsoleInstance) -> bool:
    return instance.environment == household.environment


@dataclass(frozen=True, kw_only=True)
class KeyAdmission:
    """Admits the servers of an environment. `tell` gets a sentence for each thing done."""

    keys: KeyStore
    witness: Witness
    ping: Ping
    tell: Callable[[str], None] = lambda _: None
    clock: Clock = field(default_factory=SystemClock)

    def admit(self, household: AdmissionTargets, *, deadline_s: float) -> Admission:
        """Wait until every server's key is accepted and every server answers.

        Raises: ServerFailed naming each that is not in time, with why and its last console lines; AwsError.
        """
        started = self.clock.now()
        already = {key.id for key in self.keys.accepted()}
        forgotten: dict[str, str] = {}
        last = self._all_in(household, deadline_s, forgotten)
        if last.failed or last.waiting:
            raise ServerFailed(self._words(household, {**last.waiting, **last.failed}, self.clock.now() - started))
        silent = self._all_answer(household, max(deadline_s - (self.clock.now() - started), 1.0))
        if silent:
            why = dict.fromkeys(silent, "its key is accepted, and it does not answer")
            raise ServerFailed(self._words(household, why, self.clock.now() - started))
        old = already - forgotten.keys()
        return Admission(
            accepted=tuple(name for name in household.servers if name not in old),
            already=tuple(name for name in household.servers if name in old),
            forgotten=forgotten,
            refused=last.refused,
        )

    def sweep(self, household: AdmissionTargets) -> Mapping[str, str]:
        """Forget the keys of servers that are gone, and do nothing else: what follows a destroy. Returns ids and why.

        Raises: AwsError.
        """
        outlived = decide(household, look(household, self.keys, self.witness)).forget
        return self._forget(outlived)

    def _all_in(self, household: AdmissionTargets, deadline_s: float, forgotten: dict[str, str]) -> AdmissionDecision:
        """Act on decisions until nobody is waited for, or time is up; the last decision either way."""
        decisions: list[AdmissionDecision] = []
        told: set[RefusedKey] = set()

        def act() -> AdmissionDecision:
            decision = decide(household, look(household, self.keys, self.witness))
            forgotten.update(self._forget(decision.forget))
            for key in decision.accept:
                if self.keys.accept(key):
                    self.tell(f"{key.id}: accepted, its console shows the same fingerprint {key.finger}")
            for refused in sorted(set(decision.refused) - told):
                if "yet" not in refused.reason:
                    self.tell(str(refused))
            told.update(decision.refused)
            decisions.append(decision)
            return decision

        with contextlib.suppress(WaitTimeout):  # the last decision says who is missing and why
            until(
                act,
                lambda decision: not decision.waiting,
                what=f"keys of {household.environment}",
                say=lambda decision: ", ".join(decision.waiting),
                deadline_s=deadline_s,
                clock=self.clock,
            )
        return decisions[-1]

    def _all_answer(self, household: AdmissionTargets, deadline_s: float) -> tuple[str, ...]:
        """Ask until all answer; those who still did not when time was up."""
        missing = list(household.servers)

        def ask() -> tuple[str, ...]:
            answered = set(self.ping(tuple(missing)))
            missing[:] = [name for name in missing if name not in answered]
            return tuple(missing)

        try:
            until(
                ask,
                lambda silent: not silent,
                what="answers of minions",
                say=", ".join,
                deadline_s=deadline_s,
                clock=self.clock,
            )
        except WaitTimeout:
            return tuple(missing)
        return ()

    def _forget(self, outlived: Mapping[str, str]) -> dict[str, str]:
        gone = {name: why for name, why in outlived.items() if self.keys.delete(name)}
        for name, why in gone.items():
            self.tell(f"{name}: its key is forgotten, {why}")
        return gone

    def _words(self, household: AdmissionTargets, why: Mapping[str, str], waited_s: float) -> str:
        instances = {one.name: one for one in self.witness.instances() if _is_ours(household, one)}
        lines = [
            f"{len(why)} of {len(household.servers)} servers of {household.environment} are not in after {waited_s:.0f} s"
        ]
        for name, reason in sorted(why.items()):
            lines.append(f"{name}: {reason}")
            if name in instances:
                shown = console.last_lines(self.witness.output(instances[name].id))
                lines += [f"  console of {instances[name].id}:", *(f"  | {line}" for line in shown)] if shown else []
        return "\n".join(lines)
