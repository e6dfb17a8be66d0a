"""Backups of a ZODB with the real repozo: data and blobs are one pair."""

from __future__ import annotations

from pathlib import Path

import pytest
from formulas.backup.backup_vault import Vault

pytestmark = pytest.mark.e2e
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


HOSTILE = """
import os, pickle, sys
class Code:
    def __reduce__(self):
        return os.system, (f"id -un >> {sys.argv[2]}",)
with open(sys.argv[1], "wb") as index:
    pickle.dump(4, index, protocol=3); pickle.dump(Code(), index, protocol=3)
"""
RAN = "/srv/of-an-index"
"""Not in /tmp: there the kernel keeps others from opening root's files to write."""


def test_an_index_of_the_services_user_runs_nothing_as_root(vault: Vault) -> None:
    """ZODB reads it as a pickle: beside the Data.fs that serves, and beside one that is restored."""
    add(vault, 1)
    vault.server.write("/opt/hostile.py", HOSTILE)
    vault.server.run("chmod 644 /opt/hostile.py && supervisorctl stop zeo")
    planted = "/srv/zeo/filestorage/Data.fs.index"
    vault.server.run(
        f"python3 /opt/hostile.py {planted} {RAN} && chown zeo {planted} && touch {RAN} && chmod 666 {RAN}"
    )
    took = vault.take("objects", "zodb")
    vault.server.run(f"rm {planted} && supervisorctl start zeo")
    assert set(vault.server.run(f"cat {RAN}").split()) == {"zeo"}, "no code of an index ran, so none was tried"
    vault.server.run(f"truncate -s 0 {RAN}")
    script = {"command": f'python3 /opt/hostile.py "$ZODB_DATA.index" {RAN}; test "$(id -un)" = zeo'}
    check = {"name": "who", "command": "id -un", "equals": "zeo"}
    for anew in (False, True):
        how = {"scripts": [script], "checks": [check], "anew": anew, "hold": "try"}
        vault.call("restore", "vault", "objects", [took["id"]], "zodb", **how)
        assert vault.server.run(f"cat {RAN}") == "", "an index beside what was restored was read"
    checks = [{"name": "root where it is said", "command": "id -un", "user": "root", "equals": "root"}]
    vault.call("restore", "vault", "objects", [took["id"]], "zodb", checks=checks, swap=True)
    add(vault, 1)


def test_nothing_is_left_in_the_folders_for_work(vault: Vault) -> None:
    assert not vault.server.run(
        "cd /var/lib/saltlick/backup; for each in spool verify restore; do test ! -d $each || find $each -type f; done"
    ).strip()
