"""What people are told of a database cluster: that something is wrong or well again, and that another server is the primary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.announce import announce, declared_notify
from saltlick.commands.job import environment_locks, open_store
from saltlick.database.records import PrimaryRecords
from saltlick.jobs.holder import Mode
from saltlick.notify.condition import Condition, Feature, Severity
from saltlick.notify.jobs import green, next_commands
from saltlick.offhours.records import OffHoursRecords
from saltlick.offhours.schedule import OnOff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from saltlick.database.cluster import DatabaseCluster
    from saltlick.database.verdict import Finding
    from saltlick.jobs.store import Store

CLUSTER, PRIMARY = "cluster", "primary"


def announced(
    opts: Mapping[str, Any],
    user: str,
    cluster: DatabaseCluster,
    findings: Sequence[Finding],
    remark: Callable[[str], None],
) -> None:
    """Tell people how the cluster stands, unless somebody is at work on the environment or its night is off.

    Raises: InvalidInput where the pillar's `notify` is wrong.
    """
    declared = declared_notify(opts, [cluster.environment])
    with open_store(opts) as store:
        if not _expected(opts, user, cluster.environment, store):
            announce(opts, store, declared, _conditions(cluster, findings, store), remark)


def _expected(opts: Mapping[str, Any], user: str, environment: str, store: Store) -> bool:
    """Whether it is known why the databases are not as they should be: a job has the lock, or the servers are off."""
    locks = environment_locks(opts, user)
    holder = locks.read(environment)
    if holder and holder.mode is not Mode.MANUAL and not locks.stale(holder):
        return True
    last = OffHoursRecords(store).read(environment).last
    return last is not None and last.side is OnOff.OFF


def _conditions(cluster: DatabaseCluster, findings: Sequence[Finding], store: Store) -> Iterator[Condition]:
    name = cluster.environment
    red = [finding for finding in findings if finding.red]
    if red:
        commands = tuple(dict.fromkeys(finding.command for finding in red if finding.command))
        yield Condition(
            environment=name, feature=Feature.DATABASE, name=CLUSTER, severity=Severity.FAILURE,
            known=tuple(finding.text for finding in red),
            next_commands=commands or next_commands(name, Feature.DATABASE),
        )  # fmt: skip
    else:
        yield green(name, Feature.DATABASE, CLUSTER)
    if len(cluster.primaries) == 1:
        yield _primary(name, cluster.primaries[0], PrimaryRecords(store))


def _primary(name: str, server: str, records: PrimaryRecords) -> Condition:
    before = records.replaced(name, server)
    if not before:
        return green(name, Feature.DATABASE, PRIMARY)
    return Condition(
        environment=name, feature=Feature.DATABASE, name=PRIMARY, severity=Severity.WARNING,
        known=(f"{server} is the primary; at the last look it was {before}",),
        next_commands=next_commands(name, Feature.DATABASE),
    )  # fmt: skip
