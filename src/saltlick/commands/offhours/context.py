"""An environment that is switched off and on: its pillar, what is remembered of it, and the ports of a switch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.commands.context import declared_environment, master_ports
from saltlick.commands.job import open_store
from saltlick.environment.pillar import Environment
from saltlick.offhours import custodian
from saltlick.offhours.application import FleetApplicationControl
from saltlick.offhours.aws import AwsAccount
from saltlick.offhours.pillar import OffHours, parse_offhours
from saltlick.offhours.records import OffHoursRecords
from saltlick.offhours.switch import OffHoursContext
from saltlick.release.pillar import Recipe, parse_recipe
from saltlick.release.steps import server_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from saltlick.fleet.ports import Call


@dataclass(frozen=True, kw_only=True)
class OffHoursEnvironment:
    """What the pillar says of an environment that is switched. A production environment never is."""

    environment: Environment
    hours: OffHours
    recipe: Recipe | None

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def current_revision(self) -> Call | None:
        """Asks a server which revision of the application it runs."""
        return server_calls.current(self.recipe.source, self.recipe.strategy.kind) if self.recipe else None


def offhours_environment(opts: Mapping[str, Any], name: object) -> OffHoursEnvironment:
    """The off-hours of one environment.

    Raises: InvalidInput, for production in any case; with every problem of the pillar.
    """
    environment, pillar = declared_environment(opts, name)
    hours = parse_offhours(pillar, environment)
    recipe = parse_recipe(pillar, environment) if pillar.get("release") else None
    return OffHoursEnvironment(environment=environment, hours=hours, recipe=recipe)


@contextlib.contextmanager
def open_records(opts: Mapping[str, Any]) -> Iterator[OffHoursRecords]:
    """What this master remembers of off-hours."""
    with open_store(opts) as store:
        yield OffHoursRecords(store)


def account_of(switched: OffHoursEnvironment) -> AwsAccount:
    """The account, to look at."""
    return AwsAccount(aws.connect(switched.environment.region), switched.environment, switched.hours)


def custodian_of(opts: Mapping[str, Any], switched: OffHoursEnvironment) -> custodian.CustodianCommand:
    """Cloud Custodian: `saltlick_custodian` of the master's configuration, else where `saltlick custodian` puts it.

    Raises: NotReady.
    """
    command = custodian.find(str(opts.get("saltlick_custodian") or ""))
    return custodian.CustodianCommand(command, region=switched.environment.region, environment=switched.name)


@contextlib.contextmanager
def offhours_context(
    opts: Mapping[str, Any], switched: OffHoursEnvironment, notify: Callable[[str], None] = lambda text: None
) -> Iterator[OffHoursContext]:
    """Everything that a switch needs. No server is asked anything yet.

    Raises: NotReady where Custodian is missing, or no master runs.
    """
    command = custodian_of(opts, switched)
    environment, hours = switched.environment, switched.hours
    with master_ports(opts) as ports:
        cloud = aws.connect(environment.region, notify=notify)
        yield OffHoursContext(
            environment=environment,
            hours=hours,
            account=AwsAccount(cloud, environment, hours),
            custodian=command,
            application=FleetApplicationControl(
                environment=environment,
                hours=hours,
                recipe=switched.recipe,
                current_revision=switched.current_revision,
                ground=ports.balancers(environment.name, lambda: environment, lambda: cloud),
                notify=notify,
            ),
            clock=ports.clock,
            notify=notify,
        )
