"""Decides which minion keys are accepted and which are deleted, from the evidence of `key_evidence`. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from saltlick.environment import console
from saltlick.environment.console import ConsoleInstance
from saltlick.environment.key_evidence import AdmissionTargets, KeyEvidence, OfferedKey


@dataclass(frozen=True, slots=True, order=True)
class RefusedKey:
    """A key that is not accepted, and why."""

    id: str
    finger: str
    reason: str

    def __str__(self) -> str:
        return f"{self.id}: key {self.finger[:23]}… is not accepted: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionDecision:
    """What to do with the keys: accept `accept`, delete the accepted keys under the ids in `forget`, leave `refused`.

    `waiting` maps each server that is not admitted yet to what is missing; `failed` maps servers to their boot error.
    """

    accept: tuple[OfferedKey, ...] = ()
    forget: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[RefusedKey, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def decide(targets: AdmissionTargets, evidence: KeyEvidence) -> AdmissionDecision:
    """Decide on every key. Pure: changes nothing."""
    accepted = {key.id: key for key in evidence.accepted}
    forget = _without_instance(targets, evidence) | _replaced(targets, evidence)
    reasons = [(key, _refusal_reason(targets, evidence, key)) for key in evidence.pending]
    waiting, failed = _not_admitted(targets, evidence, frozenset(accepted.keys() - forget.keys()))
    return AdmissionDecision(
        accept=tuple(key for key, reason in reasons if not reason),
        forget=forget,
        refused=tuple(
            sorted(
                [RefusedKey(key.id, key.finger, reason) for key, reason in reasons if reason]
                + [refused for key in evidence.denied if (refused := _second_key(targets, accepted, forget, key))]
            )
        ),
        waiting=waiting,
        failed=failed,
    )


def _refusal_reason(targets: AdmissionTargets, evidence: KeyEvidence, key: OfferedKey) -> str:
    """Why a pending key is not accepted; empty when it is accepted."""
    if key.id not in targets.servers:
        return f"{targets.environment} declares no server of that name"
    instance, reason = _instance_of(targets, evidence, key.id)
    if instance is None:
        return reason
    shown = console.fingers(evidence.consoles.get(instance.id, ""))
    if not shown:
        return f"the console of its instance {instance.id} shows no fingerprint yet"
    if len(shown) > 1:
        return f"the console of its instance {instance.id} shows {len(shown)} different fingerprints"
    if key.finger not in shown:
        return (
            f"it is not its instance's, the console of {instance.id} shows {next(iter(shown))} "
            f"(`salt-key -d {key.id}` deletes the foreign key, then the server's own key is admitted)"
        )
    return ""


def _instance_of(targets: AdmissionTargets, evidence: KeyEvidence, name: str) -> tuple[ConsoleInstance | None, str]:
    """The only running instance of a server, or None and the reason."""
    living = [instance for instance in evidence.instances if instance.name == name and targets.includes(instance)]
    running = [instance for instance in living if instance.state == "running"]
    if len(living) > 1:
        return None, f"{len(living)} instances have that name: {', '.join(instance.id for instance in living)}"
    if not running:
        return None, f"its instance is {living[0].state}" if living else "there is no instance of that name"
    return running[0], ""


def _without_instance(targets: AdmissionTargets, evidence: KeyEvidence) -> dict[str, str]:
    """Accepted keys under this environment's names for which AWS has no instance any more."""
    names = {instance.name for instance in evidence.instances}
    return {
        key.id: "there is no instance of that name any more"
        for key in evidence.accepted
        if targets.owns(key.id) and key.id not in names
    }


def _replaced(targets: AdmissionTargets, evidence: KeyEvidence) -> dict[str, str]:
    """Accepted keys of a replaced server: its new instance shows another key, and the master denies exactly that key."""
    replaced = {}
    for key in evidence.accepted:
        instance, _ = _instance_of(targets, evidence, key.id)
        shown = console.fingers(evidence.consoles.get(instance.id, "")) if instance else frozenset()
        denied_fingers = {denied.finger for denied in evidence.denied if denied.id == key.id}
        if instance and len(shown) == 1 and key.finger not in shown and shown <= denied_fingers:
            replaced[key.id] = f"it was its predecessor's; {instance.id} has another"
    return replaced


def _second_key(
    targets: AdmissionTargets, accepted: Mapping[str, OfferedKey], forget: Mapping[str, str], key: OfferedKey
) -> RefusedKey | None:
    if not targets.owns(key.id) or key.id in forget:
        return None
    known = accepted.get(key.id)
    if known is not None and known.finger == key.finger:
        return None  # denied while the replaced server's key was still accepted
    return RefusedKey(key.id, key.finger, "it is a second key for a name that has one")


def _not_admitted(
    targets: AdmissionTargets, evidence: KeyEvidence, accepted: frozenset[str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    waiting, failed = {}, {}
    offered = {key.id: key for key in evidence.pending}
    for name in targets.servers:
        if name in accepted:
            continue
        instance, reason = _instance_of(targets, evidence, name)
        if instance and (problem := console.failure(evidence.consoles.get(instance.id, ""))):
            failed[name] = f"its first boot failed: {problem}"
        elif name in offered:
            waiting[name] = _refusal_reason(targets, evidence, offered[name]) or "its key was accepted just now"
        else:
            waiting[name] = reason or "it has not offered a key yet"
    return waiting, failed
