"""Two PostgreSQL servers, converged at once as a deployment does it: a primary and its streaming standby."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.e2e
PSQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1"
RECEIVED = "select count(*) from pg_stat_replication where application_name = 'pg_receivewal'"
ARCHIVE = "/var/lib/postgresql/saltlick-archive"


@pytest.fixture(scope="module")
def cluster(pair):
    """Primary and standby, after a highstate of both at once, and a second one that changed nothing."""
    first, second = pair
    settings = {
        **first.suite.pillar["postgresql"],
        "members": {first.id: first.address, second.id: second.address},
        "replication": {"password": "it's: a \\ secret"},
    }
    with ThreadPoolExecutor() as pool:
        assert all(states for states in pool.map(lambda server: server.apply(postgresql=settings), pair))
        for states in pool.map(lambda server: server.apply(postgresql=settings), pair):
            changed = {name: state["changes"] for name, state in states.items() if state["changes"]}
            assert not changed, f"the second highstate changed {changed}"
    return first, second, settings


def ask(server, sql, database="postgres"):
    return server.run(f'{PSQL} -d {database} -c "{sql}"').strip()


def until(server, sql, answer, database="postgres"):
    """Wait until the database says so."""
    command = f'{PSQL} -d {database} -c "{sql}" | grep -qx {answer}'
    server.run(f"for i in $(seq 120); do {command} && exit 0; sleep 0.25; done; exit 1")


def test_one_is_the_primary_and_the_other_streams_from_it_through_its_slot(cluster):
    primary, standby, _ = cluster
    assert (ask(primary, "select pg_is_in_recovery()"), ask(standby, "select pg_is_in_recovery()")) == ("f", "t")
    assert ask(primary, "select slot_name, active from pg_replication_slots order by 1").split() == [
        "postgresql_2|t",
        "saltlick_backup|t",
    ]
    assert ask(standby, "select slot_name, active from pg_replication_slots").split() == ["saltlick_backup|t"]


def test_what_is_written_on_the_primary_is_read_on_the_standby(cluster):
    primary, standby, _ = cluster
    ask(primary, "create table written as select generate_series(1, 1000) as number", "shop")
    until(standby, "select sum(number) from written", 500500, "shop")
    with pytest.raises(AssertionError, match="read-only transaction"):
        ask(standby, "delete from written", "shop")


def test_modules_are_told_of_both(cluster):
    assert [server.call("dbrole.get")["role"] for server in cluster[:2]] == ["primary", "standby"]
    for server in cluster[:2]:
        facts = json.loads(server.run("cat /etc/saltlick/postgresql.json"))
        assert facts["members"] == {one.id: one.address for one in cluster[:2]}
        assert facts["slot"] == server.id.replace("-", "_")
        elsewhere = next(address for id_, address in facts["members"].items() if id_ != server.id)
        conninfo = f"host={elsewhere} user=replication dbname=postgres passfile={facts['passfile']}"
        assert server.run(f"cd / && runuser -u postgres -- psql -XAtq -d '{conninfo}' -c 'select 1'") == "1\n"


def test_the_archive_fills_on_both(cluster):
    """The standby's with what it got from the primary: the same bytes."""
    primary, standby, _ = cluster
    for server in (primary, standby):
        until(server, RECEIVED, 1)
    segment = ask(primary, "select pg_walfile_name(pg_current_wal_lsn())")
    ask(primary, "select pg_logical_emit_message(true, 'test', 'mark'); select pg_switch_wal()")
    ask(primary, "create table after_the_switch()", "shop")
    sums = []
    for server in (primary, standby):
        server.run(
            f"for i in $(seq 100); do test -e {ARCHIVE}/{segment} && exit 0; sleep 0.2; done; ls {ARCHIVE}; exit 1"
        )
        sums.append(server.run(f"sha256sum {ARCHIVE}/{segment}"))
    assert sums[0] == sums[1]


def test_a_standby_that_was_made_anew_comes_back(cluster):
    """Its slot is there already, and its data directory is empty."""
    primary, standby, settings = cluster
    standby.run("systemctl stop postgresql@15-main && rm -rf /var/lib/postgresql/15/main")
    standby.apply(postgresql=settings)
    until(standby, "select sum(number) from written", 500500, "shop")
    until(standby, RECEIVED, 1)
    until(primary, "select active from pg_replication_slots where slot_name = 'postgresql_2'", "t")


def test_a_first_member_that_lost_its_data_begins_nothing_of_its_own_beside_a_standby(cluster):
    """An empty primary beside a standby that has the data would be the end of it: somebody has to promote that one."""
    primary, _, settings = cluster
    primary.run("systemctl stop postgresql@15-main && mv /var/lib/postgresql/15/main /var/lib/postgresql/15/aside")
    with pytest.raises(AssertionError, match="no primary among postgresql-2 in 3 s"):
        primary.apply(postgresql={**settings, "wait_for_primary_s": 3})
    primary.run("mv /var/lib/postgresql/15/aside /var/lib/postgresql/15/main && systemctl start postgresql@15-main")
    until(primary, "select pg_is_in_recovery()", "f")


def test_a_killed_primary_leaves_a_standby_that_answers_and_can_be_promoted(cluster):
    """And then is the primary for a highstate too; the old one, made anew, becomes its standby."""
    primary, standby, settings = cluster
    primary.run("systemctl kill -s KILL postgresql@15-main; systemctl stop postgresql@15-main")
    assert ask(standby, "select sum(number) from written", "shop") == "500500"
    assert [server.call("dbrole.get")["role"] for server in (primary, standby)] == ["down", "standby"]
    states = standby.apply(postgresql=settings)
    assert not any(state["changes"] for state in states.values())
    ask(standby, "select pg_promote()")
    ask(standby, "insert into written values (1)", "shop")
    changed = [name.split()[0] for name, state in standby.apply(postgresql=settings).items() if state["changes"]]
    assert changed == ["postgresql-databases-slot-postgresql-1"]
    # The old one comes back as if nothing had been: now there are two, and it is made anew as `database.status` says.
    primary.run("systemctl start postgresql@15-main")
    assert [server.call("database.status")["role"] for server in (primary, standby)] == ["primary", "primary"]
    primary.call("database.reinit")
    primary.apply(postgresql=settings)
    until(primary, "select sum(number) from written", 500501, "shop")
    for server in (primary, standby):
        until(server, RECEIVED, 1)
        assert not any(state["changes"] for state in server.apply(postgresql=settings).values())


def test_keepalived_follows_the_database(cluster):
    """The first member would win the election, and is the standby by now: nobody but the primary may be the master."""
    standby, primary, settings = cluster
    follow = {"members": settings["members"], "follow": "postgresql", "check_s": 1}
    for server in (standby, primary):
        server.apply(roles=["postgresql", "keepalived"], postgresql=settings, keepalived=follow)
    primary.run("for i in $(seq 200); do grep -qx MASTER /run/keepalived.state && exit 0; sleep 0.1; done; exit 1")
    assert standby.run("cat /run/keepalived.state") == "BACKUP\n"
    for by in ("keepalived", "postgresql"):
        assert [server.call(f"dbrole.get by={by}")["role"] for server in (standby, primary)] == ["standby", "primary"]
    primary.run("systemctl stop postgresql@15-main")
    primary.run("for i in $(seq 200); do grep -qx BACKUP /run/keepalived.state && exit 0; sleep 0.1; done; exit 1")
    assert standby.run("cat /run/keepalived.state") == "BACKUP\n"
