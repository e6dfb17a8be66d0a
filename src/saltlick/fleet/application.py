"""What the fleet has to know of an application, whatever feature declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from saltlick.fleet.balancers.pillar import BalancerSpec
    from saltlick.fleet.health import HealthSpec
    from saltlick.fleet.step import Step


class ApplicationSource(Protocol):
    """Where an application lies on its servers, and whose it is."""

    @property
    def directory(self) -> str: ...

    @property
    def user(self) -> str: ...


class Application(Protocol):
    """An application on the servers of one group. The recipe of a release is one."""

    @property
    def application(self) -> str:
        """Its name."""

    @property
    def servers(self) -> str:
        """The server group that it runs on."""

    @property
    def source(self) -> ApplicationSource: ...

    @property
    def balancer(self) -> BalancerSpec: ...

    @property
    def stop(self) -> tuple[Step, ...]: ...

    @property
    def start(self) -> tuple[Step, ...]: ...

    @property
    def health(self) -> HealthSpec: ...
