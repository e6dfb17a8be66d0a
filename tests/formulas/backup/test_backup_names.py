"""PostgreSQL with names, roles and places as operators have them: what comes back, and what is said before anything is copied."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from formulas.backup.backup_vault import Vault, sql

pytestmark = pytest.mark.e2e
NAMES = (
    "a=b 'c\" d",
    "postgresql://elsewhere/x",
    "-dash",
    "100%s",
    "Größe",
    "back\\slash",
    "two  blanks",
    "UPPER",
    "semi;colon",
)
DATA = "/var/lib/postgresql/15/main"
ROLES = r"""
create role "o'dd ""Role$do$" login password 'x' connection limit 3 valid until '2031-01-02 03:04:05+00' createdb createrole
    bypassrls noinherit;
create role lead nologin;
create role readers nologin connection limit 0;
create role peer login superuser;
grant readers to lead with admin option;
grant lead to "o'dd ""Role$do$" with admin option;
grant pg_monitor to readers;
alter role "o'dd ""Role$do$" set work_mem to '7MB';
alter role "o'dd ""Role$do$" in database shop set application_name to 'it''s \ me';
alter role lead set search_path to '';
alter role readers set search_path to "$user", "we ird", public;
alter role readers set "app.note" to 'x=y';
"""
GONE = r"""drop role "o'dd ""Role$do$", lead, readers, peer;"""
DUMP = "cd / && runuser -u postgres -- pg_dumpall --roles-only | grep -v -e restrict"


def script(vault: Vault, text: str) -> None:
    vault.server.write("/root/script.sql", text)
    vault.server.run("cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d shop < /root/script.sql")


def inside(vault: Vault, database: str, query: str) -> str:
    """By the environment, which is a name and nothing else to libpq."""
    words = f"runuser -u postgres -- env PGDATABASE={shlex.quote(database)} psql -XAtq -v ON_ERROR_STOP=1 -c {shlex.quote(query)}"
    return vault.server.run(f"cd / && {words}").strip()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture
def roles(vault: Vault) -> Iterator[str]:
    """All roles, as pg_dumpall writes them."""
    script(vault, ROLES)
    yield vault.server.run(DUMP)
    script(vault, GONE)


def test_roles_come_back_with_all_that_they_are(vault: Vault, roles: str) -> None:
    full = vault.take("database", "postgresql")
    script(vault, GONE + "create role peer nologin connection limit 7;")
    vault.call("restore", "vault", "database", [full["id"]], "postgresql", swap=True)
    assert vault.server.run(DUMP) == roles


def test_roles_that_only_the_server_has_stay_with_all_that_they_are(vault: Vault) -> None:
    full = vault.take("database", "postgresql")
    before = vault.server.run(DUMP)
    script(vault, ROLES)
    try:
        has = vault.server.run(DUMP)
        vault.call("restore", "vault", "database", [full["id"]], "postgresql", swap=True)
        assert vault.server.run(DUMP) == has != before
    finally:
        script(vault, GONE)


def test_a_password_stays_with_the_time_until_which_it_is_valid(vault: Vault) -> None:
    script(vault, "create role rotated login password 'old' valid until '2020-01-01' connection limit 4;")
    full = vault.take("database", "postgresql")
    script(vault, "alter role rotated password 'new' valid until '2040-01-01' connection limit 8;")
    look = "select rolpassword, rolvaliduntil at time zone 'UTC' from pg_authid where rolname = 'rotated'"
    has = sql(vault, look)
    vault.call("restore", "vault", "database", [full["id"]], "postgresql", swap=True)
    assert sql(vault, look) == has
    assert sql(vault, "select rolconnlimit from pg_roles where rolname = 'rotated'") == "4"
    script(vault, "drop role rotated;")


def test_databases_with_any_name_are_restored_asked_and_changed(vault: Vault) -> None:
    for number, name in enumerate(NAMES):
        script(vault, f"create database {quoted(name)};")
        inside(vault, name, f"create table kept (number int); insert into kept values ({number})")
    full = vault.take("database", "postgresql")
    for name in NAMES:
        script(vault, f"drop database {quoted(name)};")
    query = "select current_database() || number from kept"
    checks = [
        {"name": f"check {number}", "database": name, "query": query, "equals": f"{name}{number + 100}"}
        for number, name in enumerate(NAMES)
    ]
    scripts = [{"database": name, "sql": "update kept set number = number + 100 -- 100%"} for name in NAMES]
    how: dict[str, Any] = {"scripts": scripts, "checks": checks}
    vault.call("restore", "vault", "database", [full["id"]], "postgresql", swap=True, **how)
    for number, name in enumerate(NAMES):
        assert inside(vault, name, query) == f"{name}{number + 100}"
        script(vault, f"drop database {quoted(name)};")


def test_tablespaces_are_said_before_a_job_begins(vault: Vault) -> None:
    vault.server.run("install -d -o postgres /srv/fast")
    sql(vault, "create tablespace fast location '/srv/fast'")
    try:
        holds = vault.call("holds", "postgresql")
        code, error = vault.attempt("take", "vault", "database", vault.next_id("full"), "postgresql")
    finally:
        sql(vault, "drop tablespace fast")
    said = "this server has tablespaces of its own, which backups do not cover: fast (/srv/fast). Move what is in them"
    assert (holds["holds"], holds["role"]) == (False, "primary")
    assert holds["why"].startswith(said)
    assert code
    assert said in error
    assert vault.call("holds", "postgresql") == {"holds": True, "role": "primary", "why": ""}


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    ("job", "kind", "place"),
    [("database", "postgresql", DATA), ("mounted", "zodb", "/srv/zeo/blobstorage")],
)
def test_data_that_is_a_mount_point_is_said_before_anything_is_fetched(
    vault: Vault, job: str, kind: str, place: str, swap: bool
) -> None:
    vault.server.run(f"mount --bind {place} {place}")
    try:
        full = vault.take(job, kind)
        vault.server.run(f"find /srv/backups/{job}/{full['id']} -type f ! -name manifest.json -delete")
        code, error = vault.attempt("restore", "vault", job, [full["id"]], kind, swap=swap)
    finally:
        vault.server.run(f"umount {place}")
        vault.call("prune", "vault", job, [full["id"]])
    assert code
    assert f"{place} is a mount point here, which nothing can be exchanged for" in error
    assert any(f"{place} is a mount point here" in warning for warning in full["warnings"])


@pytest.mark.parametrize(
    ("job", "kind", "place", "serves"),
    [
        ("database", "postgresql", DATA, "runuser -u postgres -- psql -XAtqc 'select 1'"),
        ("mounted", "zodb", "/srv/zeo/blobstorage", "supervisorctl status zeo | grep RUNNING"),
    ],
)
def test_an_exchange_that_fails_at_the_last_moment_leaves_what_served(
    vault: Vault, job: str, kind: str, place: str, serves: str
) -> None:
    full = vault.take(job, kind)
    checks = [{"name": "it becomes a mount point", "command": f"mount --bind {place} {place}", "user": "root"}]
    try:
        code, error = vault.attempt("restore", "vault", job, [full["id"]], kind, swap=True, checks=checks)
    finally:
        vault.server.run(f"umount --lazy {place}")  # the former database runs in it
    assert code
    assert "cannot be exchanged: Device or resource busy" in error
    vault.server.run(f"cd / && for i in $(seq 100); do {serves} && exit; sleep 0.1; done; exit 1")
    vault.call("restore", "vault", job, [full["id"]], kind, swap=True)


@pytest.mark.parametrize(
    ("job", "kind", "what"),
    [("database", "postgresql", "the restored cluster"), ("roomy", "zodb", "the restored ZODB")],
)
def test_room_is_looked_at_before_anything_is_fetched(vault: Vault, job: str, kind: str, what: str) -> None:
    full = vault.take(job, kind)
    there = f"/srv/backups/{job}/{full['id']}"
    vault.server.run(f"cp -a {there} /root/whole; find {there} -type f ! -name manifest.json -delete")
    vault.server.run(f'sed -i \'s/"raw_size": [0-9]*/"raw_size": {10**15}/\' {there}/manifest.json')
    code, error = vault.attempt("restore", "vault", job, [full["id"]], kind)
    vault.server.run(f"rm -r {there}; mv /root/whole {there}")
    assert code
    assert "there is no room, and nothing was begun: " in error
    assert "for what is fetched in /var/lib/saltlick/backup/restore" in error
    assert f"for {what} in" in error
    vault.call("restore", "vault", job, [full["id"]], kind)
