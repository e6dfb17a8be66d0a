"""A ZEO server with a FileStorage and blobs, under supervisord."""

import json

import pytest

pytestmark = pytest.mark.e2e
CLIENT = """
import sys, transaction, ZODB, ZODB.blob, ZEO
from pathlib import Path
storage = ZEO.client(("127.0.0.1", 8100), blob_dir="/tmp/blobs-of-client", wait_timeout=20)
db = ZODB.DB(storage)
with db.transaction() as connection:
    root = connection.root()
    if sys.argv[1] == "write":
        root["text"], root["blob"] = sys.argv[2], ZODB.blob.Blob(sys.argv[2].encode() * 1000)
    else:
        print(root["text"], len(root["blob"].open("r").read()))
db.close()
"""


def client(host, server, *words):
    server.write("/root/client.py", CLIENT)
    return host.check_output(f"rm -rf /tmp/blobs-of-client; /opt/zeo/bin/python /root/client.py {' '.join(words)}")


def until_running(host):
    host.check_output(
        "for i in $(seq 60); do supervisorctl status zeo | grep -q RUNNING && exit 0; sleep 0.5; done; exit 1"
    )


def test_it_runs_as_its_user_and_listens(host):
    assert host.socket("tcp://0.0.0.0:8100").is_listening
    assert host.check_output("stat -c %U /proc/$(supervisorctl pid zeo)") == "zeo"


def test_nobody_else_reads_the_data(host):
    for path in ("/srv/zeo", "/srv/zeo/filestorage", "/srv/zeo/blobstorage"):
        assert (host.file(path).user, host.file(path).mode) == ("zeo", 0o700)


def test_what_is_written_is_read_after_a_kill(server, host):
    client(host, server, "write", "hello")
    before = host.check_output("supervisorctl pid zeo")
    host.check_output("kill -9 %s", before)
    assert client(host, server, "read") == "hello 5000"
    assert host.check_output("supervisorctl pid zeo") != before


def test_facts_for_modules_and_repozo_restores_what_it_saved(server, host):
    client(host, server, "write", "saved")
    facts = json.loads(host.file("/etc/saltlick/zeo.json").content_string)
    assert (facts["address"], facts["user"]) == ("127.0.0.1:8100", "zeo")
    assert host.file(facts["blobs"]).is_directory
    host.check_output(f"mkdir -p /tmp/saved && {facts['repozo']} --backup -r /tmp/saved -f {facts['data']}")
    host.check_output(f"{facts['repozo']} --recover -r /tmp/saved -o /tmp/saved/Data.fs")
    assert host.run(f"cmp /tmp/saved/Data.fs {facts['data']}").rc == 0
    assert host.check_output(f"find {facts['blobs']} -name '*.blob' | wc -l") != "0"


def test_blobs_outlive_a_data_fs_that_is_missing(server, host):
    """The storage itself would begin a new one, and delete them."""
    client(host, server, "write", "outlives")
    host.check_output("supervisorctl stop zeo && mv /srv/zeo/filestorage/Data.fs /srv/zeo/filestorage/away")
    assert host.run("supervisorctl start zeo").rc != 0
    assert "Data.fs is missing, but its blobs are in" in host.check_output("tail -n 5 /var/log/zeo/zeo.log")
    host.check_output("mv /srv/zeo/filestorage/away /srv/zeo/filestorage/Data.fs && supervisorctl start zeo")
    assert client(host, server, "read") == "outlives 8000"


def test_a_changed_storage_is_taken_by_a_restart_and_data_stays(server, host):
    client(host, server, "write", "stays")
    before = host.check_output("supervisorctl pid zeo")
    server.apply(zeo={"pack_keep_old": True})
    assert host.check_output("supervisorctl pid zeo") != before
    assert client(host, server, "read") == "stays 5000"
    server.apply()


def test_a_changed_program_alone_is_updated(server, host):
    """supervisorctl returns before the program has run long enough to be called running."""
    host.check_output("sed -i s/startsecs=2/startsecs=3/ /etc/supervisor/conf.d/zeo.conf")
    host.check_output("supervisorctl update zeo")
    server.apply()
    until_running(host)


def test_a_highstate_starts_what_was_stopped(server, host):
    host.check_output("supervisorctl stop zeo")
    states = server.apply()
    assert [name.split()[0] for name, state in states.items() if state["changes"]] == ["zeo-service-running"]
    until_running(host)


def test_where_another_server_is_the_one_it_does_not_run(server, host):
    """The programs stay, for restores; and the data."""
    server.apply(zeo={"server": "zeo-2"})
    assert "no such process" in host.run("supervisorctl status zeo").stdout
    assert not host.socket("tcp://0.0.0.0:8100").is_listening
    assert json.loads(host.file("/etc/saltlick/zeo.json").content_string)["address"] == "zeo-2:8100"
    assert host.file("/opt/zeo/bin/repozo").exists
    assert host.file("/srv/zeo/filestorage/Data.fs").exists
    again = server.apply(zeo={"server": "zeo-2"})
    assert not any(state["changes"] for state in again.values())
    server.apply()
    until_running(host)
