"""A restored copy of a database starts nothing by itself and reaches nobody, whatever its source was told to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from formulas.backup.backup_vault import Vault, sql

pytestmark = pytest.mark.e2e
MAIN = "/var/lib/postgresql/15/main"
ELSEWHERE = "host=127.0.0.1 port=5433 dbname=postgres user=postgres password=elsewhere"
"""Another server's database, which the copy's source uses: as a publisher, and over dblink."""
PUBLISH = """
create table feed (id int primary key); insert into feed values (1); create publication feed for table feed;
alter user postgres password 'elsewhere'"""
ACTIVE = "select active from pg_replication_slots where slot_name = 'feed'"


def elsewhere(vault: Vault, statement: str) -> str:
    return vault.server.run(f'psql "{ELSEWHERE}" -XAtq -v ON_ERROR_STOP=1 -c "{statement}"').strip()


def restarted(vault: Vault, **settings: str) -> None:
    """The serving cluster with these settings, told by ALTER SYSTEM."""
    for name, value in settings.items():
        sql(vault, f"alter system set {name} = '{value}'")
    vault.server.run("systemctl restart postgresql@15-main && pg_isready -q -t 60")


@pytest.fixture(scope="module")
def source(vault: Vault) -> Iterator[Vault]:
    """The serving cluster as a subscriber of another one."""
    vault.server.run(
        "pg_createcluster 15 elsewhere -p 5433 && echo wal_level=logical >> /etc/postgresql/15/elsewhere/postgresql.conf"
        " && systemctl start postgresql@15-elsewhere && pg_isready -q -p 5433 -t 60"
    )
    vault.server.run(f'cd / && runuser -u postgres -- psql -XAtq -p 5433 -c "{" ".join(PUBLISH.split())}"')
    elsewhere(vault, "select pg_create_logical_replication_slot('feed', 'pgoutput')")
    restarted(vault, max_prepared_transactions="5")
    sql(vault, "create table feed (id int primary key); create extension if not exists dblink")
    sql(
        vault,
        f"create subscription feed connection '{ELSEWHERE}' publication feed with (create_slot = false, slot_name = feed)",
    )
    wait(vault, "select count(*) from feed", "1")
    yield vault
    sql(vault, "drop table if exists held")
    vault.server.run("cd / && runuser -u postgres -- psql -XAtq -d shop -c 'drop subscription if exists feed'")
    sql(vault, "drop table feed; drop extension dblink")
    sql(vault, "alter system reset all")
    vault.server.run("pg_dropcluster --stop 15 elsewhere")


def wait(vault: Vault, query: str, answer: str) -> None:
    vault.server.run(
        f"cd /; for i in $(seq 240); do test \"$(runuser -u postgres -- psql -XAtq -d shop -c '{query}')\" = {answer}"
        " && exit 0; sleep 0.25; done; exit 1"
    )


def query(name: str, statement: str, equals: str) -> dict[str, Any]:
    return {"name": name, "database": "shop", "query": statement, "equals": equals}


def drilled(vault: Vault, job: str, **more: Any) -> dict[str, Any]:
    return vault.call("restore", "vault", job, vault.chain(job), "postgresql", **more)


def test_a_copy_takes_nothing_from_its_sources_publisher(source: Vault) -> None:
    source.take("subscriber", "postgresql")
    sql(source, "alter subscription feed disable")
    wait(source, "select count(*) from pg_stat_subscription where pid is not null", "0")
    elsewhere(source, "insert into feed values (2), (3)")
    checks = [
        query("what runs", "select count(*) from pg_stat_activity where backend_type like '%logical%'", "0"),
        {"name": "slot", "command": f'psql "{ELSEWHERE}" -XAtqc "{ACTIVE}"', "equals": "f"},
        query("rows", "select string_agg(id::text, ',') from feed", "1"),
    ]
    done = drilled(source, "subscriber", checks=checks)
    assert [note for note in done["notes"] if note.startswith("subscription feed in shop is enabled")]
    sql(source, "alter subscription feed enable")
    wait(source, "select count(*) from feed", "3")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"select dblink_connect('{ELSEWHERE}')", "could not establish connection"),
        ("select dblink_connect('host=/var/run/postgresql dbname=shop')", "could not establish connection"),
        ("copy (select 1) to program 'bash -c \"exec 3<>/dev/tcp/127.0.0.1/5433\"'", "failed"),
        ("copy (select 1) to program 'bash -c \"exec 3<>/dev/tcp/127.0.0.1/22222\"'", "failed"),
    ],
    ids=["dblink", "the socket of the server that serves", "a program", "another program"],
)
def test_a_copy_reaches_nobody_where_its_source_does(source: Vault, script: str, said: str) -> None:
    """The same words succeed in the database that serves."""
    source.server.run(
        "systemctl is-active -q listener || systemd-run -q --unit=listener python3 -m http.server -b 127.0.0.1 22222;"
        " for i in $(seq 100); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/22222' && exit 0; sleep 0.1; done; exit 1"
    )
    source.server.write("/root/reach.sql", script)
    source.server.run(
        "chmod 755 /root && cd / && runuser -u postgres -- psql -XAtq -d shop -v ON_ERROR_STOP=1 -f /root/reach.sql"
    )
    scripts = [{"database": "shop", "sql": script}]
    code, error = source.attempt(
        "restore", "vault", "subscriber", source.chain("subscriber"), "postgresql", scripts=scripts
    )
    assert code
    assert said in error
    drilled(source, "subscriber")


def test_what_the_source_preloads_archives_and_includes_is_not_the_copys(source: Vault) -> None:
    """Neither is there, so a copy that minds them does not come up."""
    sql(source, "alter system set shared_preload_libraries = 'not_here'")
    sql(source, "alter system set archive_command = 'touch /tmp/archived'")
    sql(source, "alter system set ssl_cert_file = '/not/here'")
    sql(source, "alter database shop set local_preload_libraries = 'not_here_either'")
    try:
        source.take("preloading", "postgresql")
        checks = [
            query("preloaded", "show shared_preload_libraries", ""),
            query("workers", "show max_logical_replication_workers", "0"),
            query("archiver", "show archive_mode", "off"),
        ]
        drilled(source, "preloading", checks=checks)
    finally:
        sql(source, "alter database shop reset all", "postgres")
        for name in ("shared_preload_libraries", "archive_command", "ssl_cert_file"):
            sql(source, f"alter system reset {name}")


def test_prepared_transactions_are_recovered_and_named_whatever_room_for_them_was_made_on_the_way(
    source: Vault,
) -> None:
    sql(source, "create table held (id int)")
    source.server.write("/root/hold.sql", "begin; insert into held values (1); prepare transaction 'xa-0';")
    source.server.run("cd / && runuser -u postgres -- psql -Xq -d shop -f /root/hold.sql")
    source.take("prepared", "postgresql")
    restarted(source, max_prepared_transactions="60", max_connections="130", max_worker_processes="20")
    held = "".join(f"begin; insert into held values (1); prepare transaction 'xa-{n}';\n" for n in range(1, 40))
    source.server.write("/root/hold.sql", held)
    source.server.run("cd / && runuser -u postgres -- psql -Xq -d shop -f /root/hold.sql")
    try:
        assert source.take("prepared", "postgresql", "incr")["mode"] == "incr"
        checks = [
            query("pending", "select count(*) from pg_prepared_xacts", "40"),
            query("like the source", "show max_prepared_transactions", "60"),
        ]
        done = drilled(source, "prepared", checks=checks)
        assert len([note for note in done["notes"] if "in shop is prepared since" in note]) == 40
    finally:
        source.server.write("/root/let.sql", "".join(f"rollback prepared 'xa-{n}';\n" for n in range(40)))
        source.server.run("cd / && runuser -u postgres -- psql -Xq -d shop -f /root/let.sql")


def test_a_copy_that_a_killed_restore_left_is_stopped_and_made_anew(source: Vault) -> None:
    words = f"vault subscriber '{source.chain('subscriber')}' postgresql checks='[{{name: waits, command: sleep 600}}]'"
    source.server.run(
        f"setsid /opt/saltlick/venv/bin/salt-call --local backup.restore {words} >/tmp/killed 2>&1 & pid=$!;"
        " for i in $(seq 1200); do pgrep -fx 'sleep 600' && break; kill -0 $pid || exit 9; sleep 0.1; done; kill -KILL -$pid"
    )
    source.server.run("pgrep -f [s]altlick-scratch.conf")
    drilled(source, "subscriber")
    source.server.run("! pgrep -f [s]altlick-scratch.conf && ! ls -d /var/lib/postgresql/15/*restored")


def test_into_another_environment_it_comes_cut_off_from_its_source(source: Vault) -> None:
    """With what ALTER SYSTEM wrote there, and what was there before."""
    sql(source, "alter system set work_mem = '6MB'")
    own = {"environment": "test", "production": False}
    pillar = source.server.suite.pillar
    source.server.write("/srv/pillar/suite.sls", json.dumps({**pillar, "saltlick": own}))
    sql(source, "alter system set archive_command = 'touch /tmp/archived'")
    source.take("moving", "postgresql")
    sql(source, "alter system reset archive_command")
    try:
        done = drilled(source, "moving", swap=True)
        (note,) = (note for note in done["notes"] if note.startswith("subscription"))
        assert note == "subscription feed in shop is disabled, and has no slot at its publisher any more"
        assert sql(source, "select subenabled, subslotname is null from pg_subscription") == "f|t"
        assert sql(source, "show work_mem") == "6MB"
        assert sql(source, "select count(*) from pg_settings where setting like '%archived%'") == "0"
        assert elsewhere(source, ACTIVE) == "f"
    finally:
        source.server.write("/srv/pillar/suite.sls", json.dumps(pillar))


@pytest.fixture
def large_segments(vault: Vault) -> Iterator[Vault]:
    """Another cluster in the place of the serving one, with WAL in segments of 64 MiB."""
    begin = "systemctl start postgresql@15-main && pg_isready -q -t 60 && systemctl restart saltlick-receivewal"
    stop = "systemctl stop saltlick-receivewal postgresql@15-main"
    initdb = f"/usr/lib/postgresql/15/bin/initdb -D {MAIN} --wal-segsize=64 -E UTF8 --locale=C.UTF-8 -A trust"
    vault.server.run(
        f"{stop} && mv {MAIN} {MAIN}.aside && cd / && runuser -u postgres -- {initdb} >/dev/null && rm {MAIN}/*.conf"
    )
    sizes = f"echo 'min_wal_size = 256MB' > {MAIN}/postgresql.auto.conf && chown postgres {MAIN}/postgresql.auto.conf"
    vault.server.run(f"{sizes} && {begin}")
    sql(vault, "create database shop", "postgres")
    yield vault
    vault.server.run(f"{stop}; rm -rf {MAIN} /var/lib/postgresql/saltlick-archive/*; mv {MAIN}.aside {MAIN}")
    vault.server.run(
        "systemctl start postgresql@15-main && pg_isready -q -t 60 && cd / && runuser -u postgres -- psql -XAtqc"
        " \"select pg_drop_replication_slot('saltlick_backup')\" && systemctl restart saltlick-receivewal"
    )


def test_segments_of_another_size_join_on(large_segments: Vault) -> None:
    sql(large_segments, "create table counted as select 1 as number")
    full = large_segments.take("large", "postgresql")
    assert full["postgresql"]["segment_bytes"] == 64 << 20
    for _ in range(2):
        sql(large_segments, "select pg_switch_wal()")
        sql(large_segments, "insert into counted values (1)")
    link = large_segments.take("large", "postgresql", "incr")
    assert link["mode"] == "incr"
    assert link["postgresql"]["segments"] >= 3
    sql(large_segments, "insert into counted values (1)")
    assert large_segments.take("large", "postgresql", "incr")["mode"] == "incr"
    drilled(large_segments, "large", checks=[query("counted", "select count(*) from counted", "4")])
