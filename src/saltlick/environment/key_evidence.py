"""The evidence for admitting minion keys: the master's keys, AWS's instances, and the fingerprints on their consoles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from saltlick.environment.console import ConsoleInstance


class OfferedKey(Protocol):
    """A public key offered under a minion id."""

    @property
    def id(self) -> str: ...

    @property
    def finger(self) -> str: ...


class KeyStore(Protocol):
    """The master's key store."""

    def pending(self) -> Sequence[OfferedKey]: ...

    def accepted(self) -> Sequence[OfferedKey]: ...

    def denied(self) -> Sequence[OfferedKey]: ...

    def accept(self, key: OfferedKey, /) -> bool:
        """Accept exactly this pending key; False when the pending key is no longer this one."""
        ...

    def delete(self, minion_id: str, /) -> bool:
        """Delete an accepted key; False when there is none."""
        ...


class InstanceConsoles(Protocol):
    """The instances and console output that AWS reports; `console.Consoles` implements it."""

    def instances(self) -> tuple[ConsoleInstance, ...]: ...

    def output(self, instance_id: str, /) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvidence:
    """The master's keys and AWS's instances at one moment.

    `consoles` holds console output by instance id, only of instances whose key is undecided.
    """

    pending: tuple[OfferedKey, ...] = ()
    accepted: tuple[OfferedKey, ...] = ()
    denied: tuple[OfferedKey, ...] = ()
    instances: tuple[ConsoleInstance, ...] = ()
    consoles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionTargets:
    """The servers whose keys are decided: those the environment declares. `others` names the other environments."""

    environment: str
    servers: tuple[str, ...]
    others: tuple[str, ...] = ()

    def owns(self, minion_id: str) -> bool:
        """Whether this id belongs or belonged to a server of the environment (`prod-eu-app-1` is not `prod`'s)."""
        if minion_id in self.servers:
            return True
        prefix = f"{self.environment}-"
        longer = [f"{other}-" for other in self.others if len(other) > len(self.environment)]
        return minion_id.startswith(prefix) and not minion_id.startswith(tuple(longer))

    def includes(self, instance: ConsoleInstance) -> bool:
        """Whether the instance is tagged with this environment."""
        return instance.environment == self.environment


def collect_evidence(targets: AdmissionTargets, keys: KeyStore, consoles: InstanceConsoles) -> KeyEvidence:
    """Read keys, instances and consoles. Consoles are read only for servers without an accepted key, or with a denied one.

    Raises: AwsError, AwsUnclear.
    """
    pending, accepted, denied = tuple(keys.pending()), tuple(keys.accepted()), tuple(keys.denied())
    instances = consoles.instances()
    settled = {key.id for key in accepted} - {key.id for key in denied}
    undecided = set(targets.servers) - settled
    outputs = {
        instance.id: consoles.output(instance.id)
        for instance in instances
        if instance.name in undecided and targets.includes(instance)
    }
    return KeyEvidence(pending=pending, accepted=accepted, denied=denied, instances=instances, consoles=outputs)
