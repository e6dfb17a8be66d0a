"""Decides which minion keys are accepted and which are deleted, from the evidence of `key_evidence`. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from saltlick.environment import console
from saltlick.environment.console import ConsoleInstance
from saltlick.environment.key_evidence import AdmissionTargets, ExpectedServer, KeyEvidence, OfferedKey


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

    `outlived` are accepted keys without an instance: they are deleted when a second look says the same. `confirmed` maps
    servers, whose key is accepted or in `accept`, to the instance whose console shows that key. `waiting` maps each server
    that is not admitted yet to what is missing; `failed` maps servers to their boot error.
    """

    accept: tuple[OfferedKey, ...] = ()
    forget: Mapping[str, str] = field(default_factory=dict)
    outlived: Mapping[str, str] = field(default_factory=dict)
    confirmed: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[RefusedKey, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """What AWS confirms about one declared server: its instance and that one's only fingerprint, or the reason why not."""

    instance: ConsoleInstance | None = None
    finger: str = ""
    reason: str = ""
    failure: str = ""


def decide(targets: AdmissionTargets, evidence: KeyEvidence) -> AdmissionDecision:
    """Decide on every key. Pure: changes nothing."""
    accepted = {key.id: key for key in evidence.accepted}
    standings = {server.name: _standing(targets, evidence, server) for server in targets.expected}
    forget = _replaced(targets, evidence, standings)
    accept = _accept(evidence, standings, accepted.keys() - forget.keys())
    in_already = accepted.keys() - forget.keys()
    return AdmissionDecision(
        accept=accept,
        forget=forget,
        outlived=_outlived(targets, evidence),
        confirmed=_confirmed(standings, [*(accepted[name] for name in in_already), *accept]),
        refused=_refused(targets, evidence, standings, forget, accept),
        waiting=_waiting(targets, evidence, standings, {name: accepted[name] for name in in_already}),
        failed={
            name: f"its first boot failed: {standing.failure}"
            for name, standing in standings.items()
            if standing.failure and name not in in_already
        },
    )


def _standing(targets: AdmissionTargets, evidence: KeyEvidence, server: ExpectedServer) -> Standing:
    instance, reason = _instance_of(targets, evidence, server)
    if instance is None:
        return Standing(reason=reason)
    output = evidence.consoles.get(instance.id, "")
    if problem := console.failure(output):
        return Standing(instance, failure=problem, reason=f"the first boot of its instance {instance.id} failed")
    shown = console.fingers(output, server.nonce)
    if not shown:
        return Standing(instance, reason=f"the console of its instance {instance.id} shows no fingerprint yet")
    if len(shown) > 1:
        reason = f"the console of its instance {instance.id} shows {len(shown)} different fingerprints"
        return Standing(instance, reason=reason)
    return Standing(instance, finger=next(iter(shown)))


def _instance_of(
    targets: AdmissionTargets, evidence: KeyEvidence, server: ExpectedServer
) -> tuple[ConsoleInstance | None, str]:
    """The only running instance of a server, or None and the reason. A remembered instance is it, whatever tags say."""
    known = evidence.known.get(server.address)
    if known:
        found = tuple(instance for instance in evidence.instances if instance.id == known)
    else:
        found = targets.candidates(server, evidence.instances)
    if len(found) > 1:
        return None, f"{len(found)} instances have that name: {', '.join(instance.id for instance in found)}"
    if found and found[0].state == "running":
        return found[0], ""
    if found:
        return None, f"its instance is {found[0].state}"
    return None, _why_none(targets, evidence, server, known)


def _why_none(targets: AdmissionTargets, evidence: KeyEvidence, server: ExpectedServer, known: str | None) -> str:
    named = [instance for instance in evidence.instances if instance.name == server.name]
    if known:
        others = f", and {named[0].id} has its name" if named else ""
        again = f"salt-run environment.apply {targets.environment} replace={server.address}"
        return f"its instance {known} is gone{others}; only Saltlick replaces a server that it admitted: `{again}`"
    if not named:
        return "there is no instance of that name"
    where = f"{server.address} in subnet/{server.subnet}" + (f" at {server.private_ip}" if server.private_ip else "")
    return f"{named[0].id} has that name and is not {where} of the network of {targets.environment}"


def _accept(
    evidence: KeyEvidence, standings: Mapping[str, Standing], in_already: frozenset[str] | set[str]
) -> tuple[OfferedKey, ...]:
    """The keys, pending or denied, that their instance's console shows. What a stranger offered first is in nobody's way."""
    chosen: dict[str, OfferedKey] = {}
    for key in (*evidence.pending, *evidence.denied):
        standing = standings.get(key.id)
        if standing and standing.finger and key.finger == standing.finger and key.id not in in_already:
            chosen.setdefault(key.id, key)
    return tuple(chosen.values())


def _confirmed(standings: Mapping[str, Standing], keys: list[OfferedKey]) -> dict[str, str]:
    return {
        key.id: standing.instance.id
        for key in keys
        if (standing := standings.get(key.id)) and standing.instance and standing.finger == key.finger
    }


def _outlived(targets: AdmissionTargets, evidence: KeyEvidence) -> dict[str, str]:
    """Accepted keys under this environment's names without an instance, when AWS did show the environment's network."""
    if targets.environment not in evidence.networks:
        return {}
    ids = {instance.id for instance in evidence.instances}
    names = {instance.name for instance in evidence.instances}
    living = {
        server.name for server in targets.expected if server.name in names or evidence.known.get(server.address) in ids
    }
    return {
        key.id: "there is no instance of that name any more"
        for key in evidence.accepted
        if targets.owns(key.id) and key.id not in living | names
    }


def _replaced(targets: AdmissionTargets, evidence: KeyEvidence, standings: Mapping[str, Standing]) -> dict[str, str]:
    """Accepted keys of servers that Saltlick replaced: the new instance shows another key, and the master denies exactly that.

    An instance that is remembered has the key with which it was admitted, and no other.
    """
    denied = {(key.id, key.finger) for key in evidence.denied}
    replaced = {}
    for key in evidence.accepted:
        server, standing = targets.server(key.id), standings.get(key.id)
        if server is None or standing is None or standing.instance is None or server.address in evidence.known:
            continue
        if standing.finger not in ("", key.finger) and (key.id, standing.finger) in denied:
            replaced[key.id] = f"it was its predecessor's; {standing.instance.id} has another"
    return replaced


def _refused(
    targets: AdmissionTargets,
    evidence: KeyEvidence,
    standings: Mapping[str, Standing],
    forget: Mapping[str, str],
    accept: tuple[OfferedKey, ...],
) -> tuple[RefusedKey, ...]:
    accepted = {key.id: key for key in evidence.accepted}
    taken = {(key.id, key.finger) for key in (*accept, *evidence.accepted)}
    refused = [
        RefusedKey(key.id, key.finger, _why_refused(targets, standings.get(key.id)))
        for key in evidence.pending
        if (key.id, key.finger) not in taken
    ]
    refused += [
        RefusedKey(key.id, key.finger, _why_second(targets, evidence, accepted, standings.get(key.id), key))
        for key in evidence.denied
        if (key.id, key.finger) not in taken and targets.owns(key.id) and key.id not in forget
    ]
    return tuple(sorted(refused))


def _why_refused(targets: AdmissionTargets, standing: Standing | None) -> str:
    if standing is None:
        return f"{targets.environment} declares no server of that name"
    return _not_its_own(standing) if standing.finger else standing.reason


def _why_second(
    targets: AdmissionTargets,
    evidence: KeyEvidence,
    accepted: Mapping[str, OfferedKey],
    standing: Standing | None,
    key: OfferedKey,
) -> str:
    server = targets.server(key.id)
    if server and standing and standing.finger == key.finger and server.address in evidence.known:
        again = f"salt-run environment.apply {targets.environment} replace={server.address}"
        return f"its instance was admitted with another key, which changes only with the instance: `{again}`"
    return "it is a second key for a name that has one" if key.id in accepted else _why_refused(targets, standing)


def _waiting(
    targets: AdmissionTargets,
    evidence: KeyEvidence,
    standings: Mapping[str, Standing],
    accepted: Mapping[str, OfferedKey],
) -> dict[str, str]:
    """The servers that are not in yet, each with what is missing. `accepted` are the keys that stay."""
    offered: dict[str, set[str]] = {}
    for key in (*evidence.pending, *evidence.denied):
        offered.setdefault(key.id, set()).add(key.finger)
    waiting = {}
    for server in targets.expected:
        standing = standings[server.name]
        if server.name in accepted:
            if server.nonce and server.address not in evidence.known:
                waiting[server.name] = _why_unconfirmed(standing, accepted[server.name])
        elif not standing.failure:
            waiting[server.name] = _why_out(standing, offered.get(server.name, set()))
    return waiting


def _why_unconfirmed(standing: Standing, key: OfferedKey) -> str:
    if standing.reason:
        return f"its accepted key is not confirmed: {standing.reason}"
    return (
        "its key was confirmed just now"
        if standing.finger == key.finger
        else "its instance has not offered its key yet"
    )


def _why_out(standing: Standing, offered: set[str]) -> str:
    if standing.reason and (offered or standing.instance is None):
        return standing.reason
    if not offered:
        return "it has not offered a key yet"
    return "its key was accepted just now" if standing.finger in offered else _not_its_own(standing)


def _not_its_own(standing: Standing) -> str:
    where = standing.instance.id if standing.instance else "its instance"
    return f"it is not its instance's, the console of {where} shows {standing.finger}"
