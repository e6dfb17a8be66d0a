"""Another environment's objects and folders, masked: no earlier revision of them is in any file."""

from __future__ import annotations

import pytest
from formulas.backup.backup_vault import Vault

pytestmark = pytest.mark.e2e
PLANT = """
import transaction
from ZODB import DB
from ZODB.blob import Blob
from ZEO.ClientStorage import ClientStorage
db = DB(ClientStorage(("127.0.0.1", 8100), blob_dir="/tmp/blobcache", shared_blob_dir=False, wait_timeout=20))
root = db.open().root()
for number in range(3):
    transaction.get().setUser("needle-user"); transaction.get().note("needle-note")
    root["person"] = "needle-%d" % number
    root["photo"] = Blob(b"needle-photo %d" % number)
    root["of nobody"] = "stays"
    transaction.commit()
db.close()
"""
MASK = """
import os, transaction
from ZODB import DB
from ZODB.blob import Blob
from ZODB.FileStorage import FileStorage
db = DB(FileStorage(os.environ["ZODB_DATA"], blob_dir=os.environ["ZODB_BLOBS"]))
root = db.open().root()
root["person"] = "masked"; root["photo"] = Blob(b"masked photo")
transaction.commit(); db.close()
"""
SHOW = """
from ZODB import DB
from ZEO.ClientStorage import ClientStorage
db = DB(ClientStorage(("127.0.0.1", 8100), blob_dir="/tmp/blobcache", shared_blob_dir=False, wait_timeout=20))
root = db.open().root()
print(root["person"], root["of nobody"], root["photo"].open().read().decode()); db.close()
"""
PYTHON = "/opt/zeo/bin/python -W ignore"


def run(vault: Vault, script: str) -> str:
    vault.server.write("/root/script.py", script)
    return vault.server.run(f"{PYTHON} /root/script.py && rm /root/script.py").strip()


def needles(vault: Vault) -> list[str]:
    vault.server.run("rm -rf /tmp/blobcache")  # of this test's own client
    return vault.server.run(
        "journalctl --sync; grep -rlaE 'needle-([012]|user|note|photo)' /srv/zeo /var/lib /var/log /tmp --exclude-dir=vault || :"
    ).split()


def test_of_masked_objects_only_the_last_revision_is_left(vault: Vault) -> None:
    run(vault, PLANT)
    took = vault.take("people", "zodb")
    assert needles(vault), "nothing was planted, so nothing would be found"
    vault.server.write("/opt/mask.py", MASK)
    vault.server.run("chmod 644 /opt/mask.py")
    scripts = [{"command": f"{PYTHON} /opt/mask.py"}]
    how = {"scripts": scripts, "anew": True, "hold": "refresh test 2"}
    done = vault.call("restore", "vault", "people", [took["id"]], "zodb", **how)
    assert run(vault, SHOW) == "needle-2 stays needle-photo 2"
    assert done["checks"][0]["value"]["blobs"] >= 1
    assert vault.call("exchange", "refresh test 2")["kept"] == ""
    assert run(vault, SHOW) == "masked stays masked photo"
    assert needles(vault) == []


def test_a_mask_of_folders_runs_in_each_before_it_serves(vault: Vault) -> None:
    vault.server.run("mkdir -p /srv/one /srv/two; echo needle-one > /srv/one/file; echo needle-two > /srv/two/file")
    vault.server.run("chown -R zeo /srv/one /srv/two")
    folders = {"directories": ["/srv/one", "/srv/two"]}
    took = vault.take("folders", "directories", options=folders)
    scripts = [{"command": 'test "$(id -un)" = zeo && echo "masked $ORIGINAL" > "$RESTORED/file"'}]
    how = {"scripts": scripts, "anew": True, "swap": True, **folders}
    vault.call("restore", "vault", "folders", [took["id"]], "directories", **how)
    assert vault.server.run("cat /srv/one/file /srv/two/file").split() == ["masked", "/srv/one", "masked", "/srv/two"]
    vault.server.run("! grep -rqa needle- /srv/one /srv/two /srv/.[!.]*")
    assert not [
        name for name in vault.server.run("ls -A /srv").split() if name.startswith(("one.", "two.", ".one", ".two"))
    ]


@pytest.mark.parametrize("script", [{"database": "shop", "sql": "select 1"}, {}])
def test_a_script_that_cannot_run_over_such_data_is_refused_and_not_left_out(
    vault: Vault, script: dict[str, str]
) -> None:
    code, error = vault.attempt("restore", "vault", "people", vault.chain("people"), "zodb", scripts=[script])
    assert code
    assert "scripts over zodb have `command`" in error
