"""Two PostgreSQL servers and a third voice: a dead primary is replaced within its deadline, and there is never a second one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from formulas.postgresql.cluster import FAULTS, WITHIN_S, Cluster, container, power_on
from support.database_writers import overlap_s

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def cluster(network: str) -> Iterator[Cluster]:
    """All three servers after a highstate of all at once, and a second one that changed nothing."""
    made = Cluster(network)
    try:
        made.boot()
        assert all(made.apply_to_all().values())
        changed = made.apply_to_all()
        assert not any(changed.values()), f"the second highstate changed {changed}"
        yield made
    finally:
        made.remove()


def test_one_is_the_primary_and_the_other_its_synchronous_standby(cluster: Cluster) -> None:
    primary, standby = cluster.wait_until_whole()
    slots = cluster.ask(primary, "select slot_name, active from pg_replication_slots order by 1").split()
    assert slots == [f"{standby.id.replace('-', '_')}|t", "saltlick_backup|t"]
    assert [server.call("dbrole.get")["role"] for server in (primary, standby)] == ["primary", "standby"]


def test_nothing_but_patroni_starts_a_database(cluster: Cluster) -> None:
    for server in cluster.databases:
        with pytest.raises(AssertionError, match="masked"):
            server.run("systemctl start postgresql@15-main")


@pytest.mark.parametrize("fault", ["powered off", "Patroni frozen"])
def test_a_dead_primary_is_replaced_and_comes_back_as_the_standby(cluster: Cluster, fault: str) -> None:
    former, standby = cluster.wait_until_whole()
    with cluster.writers(f"written_{fault.split()[0].lower()}") as (following, bound):
        began = time.monotonic()
        end_fault = FAULTS[fault](cluster, former)
        cluster.wait_until_primary(standby, WITHIN_S)
        following.wait_for_writes(time.monotonic(), within_s=10)
        assert following.longest_gap_s(since=began) < WITHIN_S
        end_fault()
        primary, returned = cluster.wait_until_whole()
        assert (primary.id, returned.id) == (standby.id, former.id)
    assert cluster.lost(following) == []
    assert overlap_s(bound) == 0


def test_without_a_majority_nobody_is_promoted(cluster: Cluster) -> None:
    """The third voice is away and then the primary dies: the standby alone must not decide."""
    primary, standby = cluster.wait_until_whole()
    container(cluster.witness).stop()
    with cluster.writers("written_alone") as (following, _):
        following.wait_for_writes(time.monotonic(), within_s=10)
    container(primary).kill()
    time.sleep(WITHIN_S + 10)
    assert cluster.ask(standby, "select pg_is_in_recovery()") == "t"
    power_on(cluster, cluster.witness)
    power_on(cluster, primary)
    cluster.wait_until_whole()
    assert cluster.lost(following) == []


def test_a_member_of_etcd_that_lost_its_data_joins_again(cluster: Cluster) -> None:
    _, standby = cluster.wait_until_whole()
    standby.run(
        "systemctl stop saltlick-etcd@shop && rm -rf /var/lib/saltlick-etcd/shop && systemctl start saltlick-etcd@shop"
    )
    healthy = "ETCDCTL_API=3 etcdctl --endpoints=127.0.0.1:2379 endpoint health"
    standby.run(f"for i in $(seq 60); do {healthy} && exit 0; sleep 0.5; done; exit 1")
    listed = standby.run("ETCDCTL_API=3 etcdctl --endpoints=127.0.0.1:2379 member list").splitlines()
    assert len(listed) == 3
    cluster.wait_until_whole()


def test_a_setting_that_wants_a_restart_is_in_force_after_a_highstate(cluster: Cluster) -> None:
    settings = cluster.databases[0].suite.pillar["postgresql"]["settings"]
    settings["max_connections"] = 70
    # The first highstate sets it for the cluster; whoever was asked before that restarts with the second.
    cluster.apply_to_all()
    cluster.apply_to_all()
    cluster.wait_until_whole()
    assert {cluster.ask(server, "show max_connections") for server in cluster.databases} == {"70"}
