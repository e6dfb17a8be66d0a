"""The server's part of backups, with the real tools: pg_basebackup, pg_receivewal, repozo, tar, an rsync daemon."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from servers import SALT_CALL, Server
from werkzeug.serving import make_server

pytestmark = pytest.mark.e2e
T0 = datetime(2026, 11, 2, 2, 0, tzinfo=timezone.utc)
PSQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1"
VAULT = "/srv/backups"
ANSWERS = "until rsync rsync://127.0.0.1/ >/dev/null 2>&1; do sleep 0.1; done"
"""systemd takes the daemon for started before it listens."""


class Vault:
    """Backups of one server; ids go by a clock of their own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._number = 0

    def call(self, function: str, *arguments: Any, **named: Any) -> Any:
        """What a function of the module returns; AssertionError with its error."""
        code, said = self.attempt(function, *arguments, **named)
        assert code == 0, said
        return said

    def attempt(self, function: str, *arguments: Any, **named: Any) -> tuple[int, Any]:
        """Exit code, and the value or the error."""
        told = {"function": f"backup.{function}", "args": arguments, "kwargs": named}
        self.server.write("/root/words.json", json.dumps(told))
        said = json.loads(self.server.run("python3 /root/caller.py ask /root/words.json"))
        return said["code"], said["value"]

    def next_id(self, mode: str) -> str:
        self._number += 1
        return f"{T0 + timedelta(hours=self._number):%Y%m%dT%H%M%SZ}-{mode}"

    def take(self, job: str, kind: str, mode: str = "full", **more: Any) -> dict[str, Any]:
        return self.call("take", "vault", job, self.next_id(mode), kind, mode=mode, environment="prod", **more)  # type: ignore[no-any-return]

    def manifests(self, job: str) -> dict[str, dict[str, Any]]:
        """By id, in their order."""
        found = self.call("catalogue", "vault", [job])["manifests"]
        return {each["id"]: each for each in sorted(found, key=lambda each: each["id"])}

    def ids(self, job: str) -> list[str]:
        return list(self.manifests(job))

    def chain(self, job: str) -> list[str]:
        """The newest backup with all that it builds on."""
        known = self.manifests(job)
        links = [list(known)[-1]]
        while known[links[0]]["previous"]:
            links.insert(0, known[links[0]]["previous"])
        return links


@pytest.fixture(scope="module")
def vault(server: Server) -> Vault:
    server.run(f"{SALT_CALL} --local saltutil.sync_modules >/dev/null")
    server.write("/root/caller.py", (Path(__file__).parent / "caller.py").read_text())
    server.run("systemd-run --quiet --unit=caller /opt/saltlick/venv/bin/python /root/caller.py")
    server.run("for i in $(seq 300); do test -S /run/caller.sock && exit 0; sleep 0.1; done; exit 1")
    return Vault(server)


def sql(vault: Vault, statement: str, database: str = "shop") -> str:
    return vault.server.run(f'{PSQL} -d {database} -c "{statement}"').strip()


def write(vault: Vault, number: int) -> str:
    """Acknowledged rows; the moment after the last."""
    sql(vault, "create table if not exists orders (id int primary key, at timestamptz default clock_timestamp())")
    sql(
        vault,
        f"insert into orders (id) select n + (select coalesce(max(id), 0) from orders) from generate_series(1, {number}) n",
    )
    return sql(vault, "select clock_timestamp()")


def orders(vault: Vault) -> str:
    return sql(vault, "select count(*) from orders")


def counted(number: int) -> list[dict[str, Any]]:
    return [{"name": "orders", "database": "shop", "query": "select count(*) from orders", "equals": number}]


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
    vault.server.run("! pgrep -f [s]altlick.conf && ! ls -d /var/lib/postgresql/15/*restored")


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


def test_two_at_once(vault: Vault) -> None:
    words = f"{SALT_CALL} --local --out=json backup.take vault database"
    one, other = vault.next_id("full"), vault.next_id("full")
    first, second = (f"{words} {backup} postgresql > /root/{backup} 2>&1" for backup in (one, other))
    said = vault.server.run(f"{first} & sleep 0.2; {second}; wait; cat /root/{one} /root/{other}")
    assert said.count("database is being backed up or restored here at this moment") == 1
    assert len({one, other} & set(vault.ids("database"))) == 1


def test_folders_as_they_were_with_what_was_deleted_gone(vault: Vault) -> None:
    vault.server.run(
        "mkdir -p /srv/uploads/a; echo one > /srv/uploads/a/one; echo two > /srv/uploads/two; chown -R www-data /srv/uploads/a"
    )
    options = {"directories": ["/srv/uploads"]}
    full = vault.take("files", "directories", options=options)
    vault.server.run(
        "rm /srv/uploads/two; echo three > /srv/uploads/a/three; sleep 1.1; echo changed > /srv/uploads/a/one"
    )
    link = vault.take("files", "directories", "incr", options=options)
    assert (link["mode"], link["base"]) == ("incr", full["id"])
    vault.server.run("rm -rf /srv/uploads/*; echo lost > /srv/uploads/lost")
    chain = [full["id"], link["id"]]
    vault.call("restore", "vault", "files", chain[:1], "directories", swap=True)
    assert vault.server.run("cd /srv/uploads; cat a/one two; stat -c %U a/one; ls").split() == [
        "one",
        "two",
        "www-data",
        "a",
        "two",
    ]
    vault.call("restore", "vault", "files", chain, "directories", swap=True)
    assert vault.server.run("cd /srv/uploads; cat a/one a/three; ls").split() == ["changed", "three", "a"]


WRITE = """
import sys, time, transaction
from ZODB import DB
from ZODB.blob import Blob
from ZEO.ClientStorage import ClientStorage
db = DB(ClientStorage(("127.0.0.1", 8100), blob_dir="/tmp/blobcache", shared_blob_dir=False, wait_timeout=20))
connection = db.open(); root = connection.root()
for number in range(int(sys.argv[1])):
    blob = Blob(b"blob %d " % len(root) * 50)
    root["blob %d" % len(root)] = blob
    transaction.commit()
print(len(root)); db.close()
"""


PACK = """
from ZEO.ClientStorage import ClientStorage
ClientStorage(("127.0.0.1", 8100), wait_timeout=20).pack(wait=True)
"""


def add(vault: Vault, number: int) -> int:
    vault.server.write("/root/write.py", WRITE)
    return int(vault.server.run(f"/opt/zeo/bin/python -W ignore /root/write.py {number}").split()[-1])


def test_data_and_blobs_are_one_pair(vault: Vault) -> None:
    add(vault, 5)
    full = vault.take("objects", "zodb")
    assert full["mode"] == "full"
    add(vault, 3)
    link = vault.take("objects", "zodb", "incr")
    assert (link["mode"], link["base"]) == ("incr", full["id"])
    assert not set(full["zodb"]["repozo"]) & {Path(name).name for name in link["files"]}
    had = add(vault, 4)
    for chain, missing in (([full["id"], link["id"]], 4), ([full["id"]], 7)):
        done = vault.call("restore", "vault", "objects", chain, "zodb", swap=True)
        assert done["checks"][0]["value"]["blobs"] >= had - missing
        assert add(vault, 0) == had - missing
    assert add(vault, 1) == had - 6


def test_while_somebody_writes_every_blob_that_is_named_is_there(vault: Vault) -> None:
    vault.server.write("/root/write.py", WRITE)
    vault.server.run("setsid /opt/zeo/bin/python -W ignore /root/write.py 300 >/tmp/wrote 2>&1 &")
    full = vault.take("objects", "zodb")
    link = vault.take("objects", "zodb", "incr")
    assert full["mode"], link["mode"] == ("full", "incr")
    seen = [
        vault.call("restore", "vault", "objects", chain, "zodb")["checks"][0]["value"]["blobs"]
        for chain in ([full["id"]], [full["id"], link["id"]])
    ]
    assert seen[0] <= seen[1]


def test_a_pack_makes_the_next_backup_a_full_one(vault: Vault) -> None:
    vault.take("objects", "zodb")
    vault.server.write("/root/pack.py", PACK)
    vault.server.run("/opt/zeo/bin/python -W ignore /root/pack.py")
    add(vault, 1)
    took = vault.take("objects", "zodb", "incr")
    assert (took["mode"], took["base"]) == ("full", "")
    assert took["why"]
    vault.call("restore", "vault", "objects", [took["id"]], "zodb")


def test_nothing_is_left_in_the_folders_for_work(vault: Vault) -> None:
    assert not vault.server.run(
        "find /var/lib/saltlick/backup/spool /var/lib/saltlick/backup/verify /var/lib/saltlick/backup/restore -type f"
    ).strip()


class Bucket:
    """A service that speaks S3, at the address of this machine in the servers' network; it can be away."""

    def __init__(self, address: str) -> None:
        self._serving = make_server(address, 0, DomainDispatcherApplication(create_backend_app), threaded=True)
        self.endpoint = f"http://{address}:{self._serving.server_port}"
        threading.Thread(target=self._serving.serve_forever, daemon=True).start()
        how = {"aws_access_key_id": "key", "aws_secret_access_key": "s3cret", "region_name": "us-east-1"}
        self.client = boto3.client("s3", endpoint_url=self.endpoint, **how)
        self.client.create_bucket(Bucket="acme-backups")

    def names(self) -> list[str]:
        return [each["Key"] for each in self.client.list_objects_v2(Bucket="acme-backups").get("Contents", ())]

    def close(self) -> None:
        self._serving.shutdown()
        self._serving.server_close()


@pytest.fixture(scope="module")
def bucket(vault: Vault) -> Iterator[Bucket]:
    address = vault.server.run("ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'").strip()
    made = Bucket(address)
    s3 = {
        "bucket": "acme-backups",
        "prefix": "prod",
        "encryption": "AES256",
        "endpoint": made.endpoint,
        "region": "us-east-1",
    }
    stores = {
        **vault.server.suite.pillar["stores"],
        "offsite": {"s3": {**s3, "access_key": "key", "secret_key": "s3cret"}},
    }
    vault.server.apply(stores=stores)
    yield made
    made.close()


def test_into_a_bucket_encrypted_and_back(vault: Vault, bucket: Bucket) -> None:
    rows = int(orders(vault))
    full = vault.call("take", "offsite", "database", vault.next_id("full"), "postgresql")
    write(vault, 3)
    link = vault.call("take", "offsite", "database", vault.next_id("incr"), "postgresql", mode="incr")
    assert link["previous"] == full["id"]
    keys = bucket.names()
    assert f"prod/database/{full['id']}/manifest.json" in keys
    heads = [bucket.client.head_object(Bucket="acme-backups", Key=key) for key in keys]
    assert {head["ServerSideEncryption"] for head in heads} == {"AES256"}
    told = vault.call("catalogue", "offsite", ["database"])
    assert [each["id"] for each in told["manifests"]] == [full["id"], link["id"]]
    vault.call("restore", "offsite", "database", [full["id"], link["id"]], "postgresql", checks=counted(rows + 3))


def test_damage_in_a_bucket_is_seen(vault: Vault, bucket: Bucket) -> None:
    (key,) = [key for key in bucket.names() if key.endswith("base.tar.gz")]
    backup = key.split("/")[2]
    whole = bucket.client.get_object(Bucket="acme-backups", Key=key)["Body"].read()
    for content, said in ((b"X" + whole[1:], "other content"), (whole[:-9], "bytes and not")):
        bucket.client.put_object(Bucket="acme-backups", Key=key, Body=content)
        (problem,) = vault.call("verify", "offsite", "database", backup)["problems"]
        assert said in problem
    bucket.client.delete_object(Bucket="acme-backups", Key=key)
    assert vault.call("verify", "offsite", "database", backup)["problems"] == ["base/base.tar.gz is missing"]
    bucket.client.put_object(Bucket="acme-backups", Key=key, Body=whole)
    assert vault.call("verify", "offsite", "database", backup)["problems"] == []


def test_pruned_in_a_bucket(vault: Vault, bucket: Bucket) -> None:
    link = vault.call("catalogue", "offsite", ["database"])["manifests"][-1]["id"]
    vault.call("prune", "offsite", "database", [link])
    assert not [key for key in bucket.names() if link in key]
    assert [each["id"] for each in vault.call("catalogue", "offsite", ["database"])["manifests"]] != [link]


def test_a_bucket_that_does_not_answer(vault: Vault, bucket: Bucket) -> None:
    bucket.close()
    code, error = vault.attempt("take", "offsite", "database", vault.next_id("full"), "postgresql")
    assert code
    assert "connection refused" in error
    assert "s3cret" not in error
    seen, looked = vault.attempt("catalogue", "offsite", ["database"])
    assert seen
    assert "store offsite cannot be looked at" in looked
