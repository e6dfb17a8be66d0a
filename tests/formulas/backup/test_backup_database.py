"""Backups of PostgreSQL with the real tools: full, incremental, restored to a moment; damage, full disks and kills."""

from __future__ import annotations

import json
from typing import Any

import pytest
from formulas.backup.backup_vault import ANSWERS, VAULT, Vault, counted, orders, sql, write
from formulas.servers import SALT_CALL

pytestmark = pytest.mark.e2e


def test_full_then_increments_and_back_to_a_moment_between(vault: Vault) -> None:
    write(vault, 10)
    full = vault.take("database", "postgresql")
    assert (full["mode"], full["role"], full["server"]) == ("full", "primary", "backup-1")
    assert set(full["files"]) == {"base/backup_manifest", "base/base.tar.gz", "base/pg_wal.tar.gz"}
    assert full["size"] == sum(each["size"] for each in full["files"].values()) > 1_000_000
    write(vault, 5)
    first = vault.take("database", "postgresql", "incr")
    assert (first["mode"], first["base"], first["previous"]) == ("incr", full["id"], full["id"])
    moment = write(vault, 3)
    write(vault, 2)
    second = vault.take("database", "postgresql", "incr")
    assert (second["base"], second["previous"]) == (full["id"], first["id"])
    chain = [full["id"], first["id"], second["id"]]
    vault.call("restore", "vault", "database", chain[:1], "postgresql", checks=counted(10))
    vault.call("restore", "vault", "database", chain[:2], "postgresql", checks=counted(15))
    done = vault.call("restore", "vault", "database", chain, "postgresql", until=moment, checks=counted(18))
    assert done["checks"] == [{"name": "orders", "value": "18", "ok": True}]
    assert done["reached"] <= moment
    vault.call("restore", "vault", "database", chain, "postgresql", checks=counted(20))
    assert orders(vault) == "20"


def test_a_moment_after_the_last_transaction_is_all_there_is(vault: Vault) -> None:
    """PostgreSQL itself calls that fatal."""
    chain = vault.chain("database")
    moment = sql(vault, "select clock_timestamp()")
    vault.call("restore", "vault", "database", chain, "postgresql", until=moment, checks=counted(20))


def test_increments_keep_up_with_segments_that_fill(vault: Vault) -> None:
    last = list(vault.manifests("database").values())[-1]
    for _ in range(3):
        sql(vault, "select pg_switch_wal()")
        write(vault, 1)
    grown = vault.take("database", "postgresql", "incr")
    assert grown["postgresql"]["segments"] >= 3
    assert grown["postgresql"]["first_segment"] == last["postgresql"]["next_segment"]
    vault.call("restore", "vault", "database", vault.chain("database"), "postgresql", checks=counted(23))


def test_what_is_restored_takes_the_place_of_what_was(vault: Vault) -> None:
    chain = vault.chain("database")
    write(vault, 7)
    scripts = [{"database": "shop", "sql": "delete from orders where id = 1"}]
    done = vault.call(
        "restore", "vault", "database", chain, "postgresql", swap=True, scripts=scripts, checks=counted(22)
    )
    assert orders(vault) == "22"
    assert vault.server.run(f"test -d {done['kept']}/base && echo yes").strip() == "yes"
    write(vault, 1)
    left = vault.server.run("ls /var/lib/postgresql/15/ /var/lib/saltlick/backup/*")
    assert "restored" not in left
    changed = {name: state["changes"] for name, state in vault.server.apply().items() if state["changes"]}
    assert not changed, f"a highstate after a restore changed {changed}"


def test_after_a_restore_backups_go_on_from_what_was_restored(vault: Vault) -> None:
    """Whether they join on or begin anew, what they give is what is there."""
    vault.take("database", "postgresql", "incr")
    write(vault, 1)
    vault.take("database", "postgresql", "incr")
    vault.call("restore", "vault", "database", vault.chain("database"), "postgresql", checks=counted(24))


def test_a_timeline_that_branched_off_earlier_is_not_joined_on_to(vault: Vault) -> None:
    chain, moment = vault.chain("database"), sql(vault, "select clock_timestamp()")
    for _ in range(2):
        sql(vault, "select pg_switch_wal()")
        write(vault, 1)
    later = [*chain, vault.take("database", "postgresql", "incr")["id"]]
    vault.call("restore", "vault", "database", later, "postgresql", until=moment, swap=True, checks=counted(24))
    took = vault.take("database", "postgresql", "incr")
    assert (took["mode"], took["base"], took["previous"]) == ("full", "", "")
    assert took["id"].endswith("-full")
    assert took["why"]
    vault.call("restore", "vault", "database", vault.chain("database"), "postgresql", checks=counted(24))


@pytest.mark.parametrize(
    ("checks", "scripts", "said"),
    [
        (counted(1), [], "1 of 1 checks failed: orders: is '24' and not '1'"),
        ([{"name": "many", "database": "shop", "query": "select 1", "at_least": 5}], [], "many: is 1, less than 5"),
        (
            [{"name": "no table", "database": "shop", "query": "select * from nowhere"}],
            [],
            'relation "nowhere" does not exist',
        ),
        ([{"name": "starts", "command": "exit 3"}], [], "starts: sh -c exit 3 failed (3)"),
        ([], [{"database": "shop", "sql": "delete from orders; select 1/0"}], "division by zero"),
    ],
)
def test_what_does_not_prove_good_never_serves(vault: Vault, checks: list[Any], scripts: list[Any], said: str) -> None:
    code, error = vault.attempt(
        "restore",
        "vault",
        "database",
        vault.chain("database"),
        "postgresql",
        swap=True,
        checks=checks,
        scripts=scripts,
    )
    assert code
    assert said in error
    assert orders(vault) == "24"
    vault.server.run("! pgrep -f [s]altlick-scratch.conf && ! ls -d /var/lib/postgresql/15/*restored")


def test_a_check_by_command_finds_the_database(vault: Vault) -> None:
    command = "psql -XAtq -d shop -c 'select count(*) from orders'"
    checks = [{"name": "asks", "command": command, "user": "postgres"}]
    done = vault.call("restore", "vault", "database", vault.chain("database"), "postgresql", checks=checks)
    assert done["checks"][0]["value"] == "24"


@pytest.fixture
def damaged(vault: Vault, request: pytest.FixtureRequest) -> Any:
    """A backup of which one file was damaged in the store, put right afterwards."""
    full = next(each for each in reversed(vault.ids("database")) if each.endswith("full"))
    folder = f"{VAULT}/database/{full}"
    vault.server.run(f"cp -a {folder} /root/whole")
    vault.server.run(request.param.replace("$F", f"{folder}/base/base.tar.gz"))
    yield full
    vault.server.run(f"rm -rf {folder} && mv /root/whole {folder}")


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ("printf X | dd of=$F bs=1 seek=5000 conv=notrunc status=none", "has other content than when it was written"),
        ("truncate -s -100 $F", "bytes and not"),
        ("rm $F", "is missing"),
    ],
    indirect=["damaged"],
)
def test_damage_is_seen_and_never_restored(vault: Vault, damaged: str, said: str) -> None:
    (problem,) = vault.call("verify", "vault", "database", damaged)["problems"]
    assert problem.startswith("base/base.tar.gz")
    assert said in problem
    code, error = vault.attempt("restore", "vault", "database", [damaged], "postgresql", swap=True)
    assert code
    assert f"database/{damaged} is damaged: base/base.tar.gz" in error
    assert orders(vault) == "24"


def test_a_whole_backup_verifies(vault: Vault) -> None:
    for backup in vault.ids("database"):
        assert vault.call("verify", "vault", "database", backup)["problems"] == []


def test_a_backup_without_its_manifest_is_unfinished_and_one_with_a_broken_manifest_unreadable(vault: Vault) -> None:
    first, second, *_ = vault.ids("database")
    vault.server.run(f"mv {VAULT}/database/{first}/manifest.json /root/one")
    vault.server.run(
        f"cp {VAULT}/database/{second}/manifest.json /root/two; truncate -s 50 {VAULT}/database/{second}/manifest.json"
    )
    told = vault.call("catalogue", "vault", ["database"])
    vault.server.run(
        f"mv /root/one {VAULT}/database/{first}/manifest.json; mv /root/two {VAULT}/database/{second}/manifest.json"
    )
    assert told["unfinished"] == [f"database/{first}"]
    assert told["unreadable"] == [f"database/{second}"]


def test_a_disk_that_is_full_leaves_the_last_good_one_and_no_ruin(vault: Vault) -> None:
    before = vault.ids("database")
    vault.server.run(
        f"mkdir -p {VAULT}/small && mount -t tmpfs -o size=2m none {VAULT}/small && systemctl restart rsync; {ANSWERS}"
    )
    code, error = vault.attempt("take", "vault", "small", vault.next_id("full"), "postgresql", environment="prod")
    left = vault.server.run(f"find {VAULT}/small -type f")
    vault.server.run(
        f"systemctl stop rsync; umount {VAULT}/small; rmdir {VAULT}/small; systemctl start rsync; {ANSWERS}"
    )
    assert code
    assert "No space left on device" in error
    assert "what reached the store is still there" not in error
    assert not left
    assert vault.ids("database") == before


def test_a_store_that_does_not_answer(vault: Vault) -> None:
    vault.server.run("systemctl stop rsync")
    try:
        code, error = vault.attempt("take", "vault", "database", vault.next_id("full"), "postgresql")
        seen, looked = vault.attempt("catalogue", "vault", ["database"])
    finally:
        vault.server.run(f"systemctl start rsync; {ANSWERS}")
    assert code
    assert "Connection refused" in error
    assert seen
    assert "store vault cannot be looked at" in looked
    assert vault.take("database", "postgresql")["mode"] == "full"


def test_a_wrong_password_is_said_and_the_right_one_nowhere(vault: Vault) -> None:
    pillar = vault.server.suite.pillar["stores"]
    wrong = {"vault": {"rsync": {**pillar["vault"]["rsync"], "password": "wrong"}}}
    vault.server.write("/srv/pillar/suite.sls", json.dumps({**vault.server.suite.pillar, "stores": wrong}))
    code, error = vault.attempt("catalogue", "vault", ["database"])
    vault.server.write("/srv/pillar/suite.sls", json.dumps(vault.server.suite.pillar))
    assert code
    assert "auth failed" in error
    assert "wrong" not in error


STEPS = {
    "it looks at what the store has": "pgrep -f 'rsync --[c]ontimeout'",
    "the database is copied": "pgrep -x pg_basebackup",
    "the copy travels": "test -d $there",
    "all is there but the manifest": "test -e $there/base/base.tar.gz",
    "the manifest is there": "test -e $there/manifest.json",
}
KILL = """
there={vault}/database/{backup}
setsid {words} >/dev/null 2>&1 & pid=$!
for i in $(seq 6000); do {step} >/dev/null && break; kill -0 $pid || exit 9; done
kill -KILL {who}
"""


@pytest.mark.parametrize("who", ["-$pid", "$pid"], ids=["with its tools", "alone"])
def test_killed_at_each_step_the_last_good_one_stays_and_the_next_run_is_good(vault: Vault, who: str) -> None:
    before, killed = vault.ids("database"), []
    for step in STEPS.values():
        killed.append(vault.next_id("full"))
        words = f"{SALT_CALL} --local backup.take vault database {killed[-1]} postgresql"
        vault.server.run(KILL.format(vault=VAULT, backup=killed[-1], words=words, step=step, who=who))
        assert set(vault.ids("database")) - set(killed) == set(before)
    assert vault.call("verify", "vault", "database", before[-1])["problems"] == []
    took = vault.take("database", "postgresql")
    assert vault.call("verify", "vault", "database", took["id"])["problems"] == []
    unfinished = vault.call("catalogue", "vault", ["database"])["unfinished"]
    assert {each.partition("/")[2] for each in unfinished} <= set(killed)
    vault.call("prune", "vault", "database", [each.partition("/")[2] for each in unfinished])
    assert vault.call("catalogue", "vault", ["database"])["unfinished"] == []


def test_pruned_ones_are_gone_whole(vault: Vault) -> None:
    *old, last = vault.ids("database")
    vault.call("prune", "vault", "database", list(reversed(old)))
    assert vault.ids("database") == [last]
    assert vault.server.run(f"ls {VAULT}/database").split() == [last]


def test_one_that_comes_meanwhile_waits_for_the_other(vault: Vault) -> None:
    words = f"{SALT_CALL} --local --out=json backup.take vault database"
    one, other = vault.next_id("full"), vault.next_id("full")
    first, second = (f"{words} {backup} postgresql > /root/{backup} 2>&1" for backup in (one, other))
    vault.server.run(f"{first} & sleep 0.2; {second}; wait")
    assert {one, other} <= set(vault.ids("database"))
    for backup in (one, other):
        assert vault.call("verify", "vault", "database", backup)["problems"] == []
