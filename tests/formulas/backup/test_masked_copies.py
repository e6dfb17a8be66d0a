"""Another environment's data, masked: on a primary and its standby, no byte is left of what the masking changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from formulas.backup.backup_vault import VAULT, Vault, sql
from formulas.backup.conftest import answering
from formulas.servers import Server

pytestmark = pytest.mark.e2e
PLACES = "/var/lib/postgresql /var/lib/saltlick /etc /tmp /var/tmp /run /var/log /var/cache /opt/saltlick/var"
"""Data folders, WAL, archive, folders for work, logs and the journal: everywhere but the store of the source's backups."""
RECEIVES = (
    "cd / && runuser -u postgres -- psql -XAtqc"
    " \"select count(*) from pg_stat_replication where application_name = 'pg_receivewal'\""
)
PLANTED = """
create role owner_of_all nologin; create role reader login password 'needle-role';
create table people (id serial primary key, name text, life text, photo oid);
alter table people alter life set storage external;
comment on table people is 'who is who'; grant select on people to reader; alter table people owner to owner_of_all;
create statistics people_both on id, name from people;
insert into people (name, life, photo)
  select 'needle-name ' || n % 7, repeat('needle-life ', 2000), lo_from_bytea(0, 'needle-photo') from generate_series(1, 60) n;
create index on people (name); analyze people;
create materialized view names as select distinct name from people;
create extension postgres_fdw; create server other foreign data wrapper postgres_fdw options (host 'other.example');
create user mapping for public server other options (password 'needle-fdw');
alter database shop set timezone = 'Europe/Rome'; comment on database shop is 'what is sold';
grant connect on database shop to reader;
delete from people where id > 50; update people set life = life || 'needle-later'; select setval('people_id_seq', 4711);
alter role reader set work_mem = '7MB';
create database closed; alter database closed allow_connections false;
create database "it's read = only"; alter database "it's read = only" set default_transaction_read_only = on;
"""
MASK = [
    {"name": "refresh.mask[0]", "database": "shop", "sql": "update people set name = 'person ' || id, life = ''"},
    {
        "name": "refresh.mask[1]",
        "database": "shop",
        "sql": "select lo_put(photo, 0, 'masked-photo') from people where id > 1;"
        " select lo_unlink(oid) from pg_largeobject_metadata where oid not in (select photo from people where id > 1)",
    },
]
SURVIVES = {
    "select count(*) || ' ' || min(name) from people": "50 person 1",
    "select nextval('people_id_seq')": "4712",
    "select count(*) from pg_largeobject_metadata": "49",
    "select convert_from(lo_get(photo), 'UTF8') from people where id = 2": "masked-photo",
    "select obj_description('people'::regclass)": "who is who",
    "select has_table_privilege('reader', 'people', 'select')": "t",
    "select tableowner from pg_tables where tablename = 'people'": "owner_of_all",
    "select count(*) from pg_statistic_ext": "1",
    "select count(*) > 0 from pg_stats where tablename = 'people'": "t",
    "select count(*) || min(name) from names": "50person 1",
    "show timezone": "Europe/Rome",
    "select shobj_description(oid, 'pg_database') from pg_database where datname = 'shop'": "what is sold",
    "select has_database_privilege('reader', 'shop', 'connect')": "t",
    "select count(*) from pg_extension where extname = 'postgres_fdw'": "1",
    "select count(*) from pg_user_mappings": "0",
    "select setconfig from pg_db_role_setting s join pg_roles r on r.oid = setrole where rolname = 'reader'": "{work_mem=7MB}",
    "select count(*) from pg_authid where rolname = 'shop' and rolpassword is not null": "1",
    "show data_checksums": "on",
    "select setconfig from pg_db_role_setting s join pg_database d on d.oid = setdatabase where datname like 'it%'": (
        "{default_transaction_read_only=on}"
    ),
}


@pytest.fixture(scope="module")
def cluster(pair: tuple[Server, Server]) -> tuple[Vault, Vault]:
    """A primary and its standby, both with the source's data in every place that a database has for it."""
    first, second = pair
    settings = {
        **first.suite.pillar["postgresql"],
        "members": {first.id: first.address, second.id: second.address},
        "replication": {"password": "it's: a \\ secret"},
    }
    with ThreadPoolExecutor() as pool:
        roles = ["postgresql", "rsyncd", "backup"]
        list(pool.map(lambda server: server.apply(roles=roles, postgresql=settings), pair))
    primary, standby = answering(first), answering(second)
    first.run(f"for i in $(seq 240); do {RECEIVES} | grep -qx 1 && exit 0; sleep 0.5; done; exit 1")
    psql(primary, PLANTED)
    taken(primary, "prod", "full")
    psql(primary, "update people set life = 'needle-after' where id = 1; select pg_switch_wal();")
    taken(primary, "prod", "incr")
    return primary, standby


def psql(vault: Vault, script: str) -> None:
    vault.server.write("/root/script.sql", script)
    vault.server.run(
        "chmod 755 /root; cd / && runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 -d shop -f /root/script.sql"
        " && rm /root/script.sql"
    )


def taken(vault: Vault, environment: str, mode: str) -> dict[str, Any]:
    job = f"{environment}-database"
    took = vault.call("take", "vault", job, vault.next_id(mode), "postgresql", mode=mode, environment=environment)
    assert took["mode"] == mode, took.get("why")
    return took


def needles(vault: Vault) -> list[str]:
    """Files that hold one of the planted texts; the arguments of this very search are in no file."""
    found = vault.server.run(
        f"journalctl --sync; grep -rlaE 'needle-(name|life|photo|later|after|fdw|role)' {PLACES} 2>/dev/null || :"
    )
    return found.split()


def restored(primary: Vault, **more: Any) -> tuple[int, Any]:
    how = {"scripts": MASK, "anew": True, "hold": "refresh test 1", **more}
    return primary.attempt("restore", "vault", "prod-database", primary.chain("prod-database"), "postgresql", **how)


def test_a_script_that_fails_is_named_and_all_is_as_it_was(cluster: tuple[Vault, Vault]) -> None:
    primary, _ = cluster
    assert needles(primary), "nothing was planted, so nothing would be found"
    bad = {"name": "refresh.mask[2]", "database": "shop", "sql": "insert into people (id, name) values (2, 'x')"}
    code, error = restored(primary, scripts=[*MASK, bad])
    assert code
    assert "script 3 of 3 (refresh.mask[2], database shop) failed" in error
    assert "duplicate key value" in error
    assert "Key (id)" not in error
    primary.server.run("! pgrep -f [s]altlick-scratch.conf && ! ls -d /var/lib/postgresql/15/main.*")
    assert sql(primary, "select count(*) from people where name like 'needle%'") == "50"
    code, error = primary.attempt("exchange", "refresh test 1")
    assert code
    assert "holds nothing ready under the name 'refresh test 1'" in error


def test_while_the_masked_data_lies_ready_the_former_serves(cluster: tuple[Vault, Vault]) -> None:
    primary, _ = cluster
    checks = [
        {
            "name": "people",
            "database": "shop",
            "query": "select count(*) from people where name like 'needle%'",
            "equals": 0,
        }
    ]
    code, done = restored(primary, checks=checks)
    assert code == 0, done
    assert [check["ok"] for check in done["checks"]] == [True]
    assert [note for note in done["notes"] if "login of public to the foreign server other in shop is left out" in note]
    assert "database closed takes no connections and is left out" in done["notes"]
    assert sql(primary, "select count(*) from people where name like 'needle%'") == "50"
    ready = primary.server.run("ls -d /var/lib/postgresql/15/main.*").split()
    assert ready == ["/var/lib/postgresql/15/main.masked"]
    primary.server.run("! grep -rqaE 'needle-' /var/lib/postgresql/15/main.masked /var/lib/saltlick")


def test_nothing_of_the_source_is_left_on_any_server_nor_in_the_next_backup(cluster: tuple[Vault, Vault]) -> None:
    primary, standby = cluster
    primary.call("exchange", "refresh test 1")
    assert standby.call("reseed", False)["role"] == "standby"
    for vault in cluster:
        assert needles(vault) == []
        assert vault.server.run("ls -d /var/lib/postgresql/15/*").split() == ["/var/lib/postgresql/15/main"]
    took = taken(primary, "test", "full")
    folder = f"{VAULT}/test-database/{took['id']}/base"
    primary.server.run(
        f"for each in {folder}/*.gz; do zcat $each | grep -qa needle- && exit 1; done; test -s {folder}/base.tar.gz"
    )


@pytest.mark.parametrize(("question", "answer"), SURVIVES.items())
def test_what_a_database_has_besides_its_rows_survives(
    cluster: tuple[Vault, Vault], question: str, answer: str
) -> None:
    assert sql(cluster[0], question) == answer


def test_the_next_time_what_was_there_before_is_kept_beside(cluster: tuple[Vault, Vault]) -> None:
    """It is no copy of the source's cluster any more, so there is nothing of the source in it."""
    primary, standby = cluster
    sql(primary, "create table ours as select 'ours' as whose")
    code, done = restored(primary, hold="", swap=True)
    assert code == 0, done
    assert done["kept"] == "/var/lib/postgresql/15/main.before-restore"
    standby.call("reseed", False)
    assert needles(primary) == needles(standby) == []
    standby.server.run("cd / && runuser -u postgres -- psql -XAtqc 'select pg_is_in_recovery()' | grep -qx t")


def test_a_standby_whose_data_is_gone_is_made_anew(cluster: tuple[Vault, Vault]) -> None:
    """As where Patroni had removed it to make it anew by itself, and was stopped at that."""
    _, standby = cluster
    standby.server.run(
        "service postgresql stop && rm -rf /var/lib/postgresql/15/main /var/lib/postgresql/15/main.before-restore"
    )
    assert standby.call("reseed", True) == {"role": "standby", "kept": ""}
    assert standby.call("reseed", True) == {"role": "standby", "kept": "/var/lib/postgresql/15/main.before-restore"}
    standby.server.run("cd / && runuser -u postgres -- psql -XAtqc 'select pg_is_in_recovery()' | grep -qx t")
