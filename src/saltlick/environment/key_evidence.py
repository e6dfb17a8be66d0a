"""The evidence for admitting minion keys: the master's keys, AWS's instances, and the fingerprints on their consoles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from saltlick.environment.console import ConsoleInstance, ConsoleLook


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
        """Accept exactly this key, which is pending or denied, in place of any other that waits under its id.

        False when it is neither any more.
        """
        ...

    def delete(self, minion_id: str, /) -> bool:
        """Delete an accepted key; False when there is none."""
        ...


class InstanceConsoles(Protocol):
    """The instances and console output that AWS reports; `console.Consoles` implements it."""

    def look(self) -> ConsoleLook: ...

    def output(self, instance_id: str, /) -> str: ...


class InstanceMemory(Protocol):
    """The instance ids of admitted servers by address; `known_instances.KnownInstances` implements it."""

    def ids(self, environment: str, /) -> Mapping[str, str]: ...

    def remember(self, environment: str, address: str, instance_id: str, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvidence:
    """The master's keys, AWS's instances and what is remembered of them, at one moment.

    `consoles` holds console output by instance id, only of instances whose key is undecided. `networks` names the
    environments whose VPC AWS showed in the same look. `known` maps addresses to instance ids.
    """

    pending: tuple[OfferedKey, ...] = ()
    accepted: tuple[OfferedKey, ...] = ()
    denied: tuple[OfferedKey, ...] = ()
    instances: tuple[ConsoleInstance, ...] = ()
    consoles: Mapping[str, str] = field(default_factory=dict)
    networks: frozenset[str] = frozenset()
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedServer:
    """A declared server, and by what its instance is known.

    `subnet` is its subnet's name; `private_ip` is None where AWS chooses it. `nonce` is what its console has to repeat; ""
    for the master, whose own key needs no admission.
    """

    name: str
    address: str
    subnet: str
    private_ip: str | None = None
    nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionTargets:
    """The servers whose keys are decided: those the environment declares. `others` names the other environments."""

    environment: str
    expected: tuple[ExpectedServer, ...]
    others: tuple[str, ...] = ()

    @property
    def servers(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(server.name for server in self.expected)

    def server(self, name: str) -> ExpectedServer | None:
        """The declared server of that name."""
        return next((server for server in self.expected if server.name == name), None)

    def owns(self, minion_id: str) -> bool:
        """Whether this id belongs or belonged to a server of the environment (`prod-eu-app-1` is not `prod`'s)."""
        if minion_id in self.servers:
            return True
        prefix = f"{self.environment}-"
        longer = [f"{other}-" for other in self.others if len(other) > len(self.environment)]
        return minion_id.startswith(prefix) and not minion_id.startswith(tuple(longer))

    def candidates(self, server: ExpectedServer, instances: Sequence[ConsoleInstance]) -> tuple[ConsoleInstance, ...]:
        """The instances that may be that server: in the environment's network, with the declared tags and addresses."""
        return tuple(instance for instance in instances if self._may_be(server, instance))

    def _may_be(self, server: ExpectedServer, instance: ConsoleInstance) -> bool:
        return (
            instance.network == instance.environment == self.environment
            and instance.name == server.name
            and instance.address == server.address
            and instance.subnet == f"subnet/{server.subnet}"
            and server.private_ip in (None, instance.private_ip)
        )


def collect_evidence(
    targets: AdmissionTargets, keys: KeyStore, consoles: InstanceConsoles, memory: InstanceMemory
) -> KeyEvidence:
    """Read keys, instances and consoles. Consoles are read only of servers whose key is not settled.

    Settled is a server with an accepted key, no denied one, and a remembered instance.

    Raises: AwsError, AwsUnclear.
    """
    pending, accepted, denied = tuple(keys.pending()), tuple(keys.accepted()), tuple(keys.denied())
    known = memory.ids(targets.environment)
    look = consoles.look()
    doubtful = {key.id for key in denied}
    settled = {key.id for key in accepted} - doubtful
    undecided = [
        server
        for server in targets.expected
        if server.name not in settled or (server.nonce and server.address not in known)
    ]
    wanted = dict.fromkeys(
        instance.id
        for server in undecided
        for instance in look.instances
        if instance.id == known.get(server.address) or instance in targets.candidates(server, look.instances)
    )
    return KeyEvidence(
        pending=pending,
        accepted=accepted,
        denied=denied,
        instances=look.instances,
        consoles={instance: consoles.output(instance) for instance in wanted},
        networks=look.networks,
        known=known,
    )
