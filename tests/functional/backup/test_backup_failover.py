"""A real PostgreSQL pair: promoted, written to, backed up; and restored to moments before and after the failover."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from saltlick.backup.catalogue import Catalogue

# As Salt's loader has it, and only here: other tests say which folder a module finds its helpers in.
with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(str(Path(__file__).resolve().parents[3] / "_modules"))
    import _saltlick_backup_postgresql as postgresql
    import _saltlick_backup_recovery as recovery

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))
pytestmark = pytest.mark.skipif(
    not (BIN / "initdb").exists() or os.geteuid() != 0,
    reason="needs the programs of PostgreSQL (apt-get install postgresql), and root to run them as the user postgres",
)


def run(*command: Any) -> str:
    done = subprocess.run(
        ["runuser", "-u", "postgres", "--", *map(str, command)], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
    return done.stdout.strip()


class Database:
    """One server, with what it received in a folder of its own; it listens by a socket only."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.data, self.archive = folder, folder / "data", folder / "archive"
        for path in (folder, self.archive):
            path.mkdir()
            shutil.chown(path, "postgres", "postgres")
        self.receiver: subprocess.Popen[bytes] | None = None
        self.facts = {
            "user": "postgres", "bin_dir": str(BIN), "socket_dir": str(folder), "port": str(port), "data_dir": str(self.data),
            "archive_dir": str(self.archive), "members": {}, "receiver": "pg_receivewal",
        }  # fmt: skip

    def start(self) -> None:
        log, settings = self.folder / "log", f"-c listen_addresses='' -k {self.folder} -p {self.facts['port']}"
        run(BIN / "pg_ctl", "start", "-w", "-D", self.data, "-l", log, "-o", settings)
        command = [
            BIN / "pg_receivewal",
            "-D",
            self.archive,
            "-h",
            self.folder,
            "-p",
            self.facts["port"],
            "-s",
            "1",
            "--synchronous",
        ]
        self.receiver = subprocess.Popen(["runuser", "-u", "postgres", "--", *map(str, command)], cwd="/")

    def stop(self) -> None:
        run(BIN / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", self.data)
        if self.receiver:
            self.receiver.terminate()
            self.receiver.wait(10)

    def sql(self, statement: str) -> str:
        return run(
            BIN / "psql", "-XAtq", "-h", self.folder, "-p", self.facts["port"], "-d", "postgres", "-c", statement
        )


class Store:
    """A job's backups in a folder, and what their manifests say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifests: list[dict[str, Any]] = []
        self.left: list[str] = []
        """What the last one restored says of where its ancestors were left."""

    def take(
        self, database: Database, mode: str, last: Any = None, before: Any = (), others: Any = ()
    ) -> dict[str, Any]:
        name = f"{len(self.manifests):02d}-{mode}"
        folder = self.folder / name
        folder.mkdir()
        began = datetime.now(timezone.utc)
        facts_before, postgresql.facts = postgresql.facts, lambda: database.facts
        try:
            facts = postgresql.take(folder, mode, last or {}, list(before), {}, 60, others=others)
        finally:
            postgresql.facts = facts_before
        base = (last["base"] or last["id"]) if facts["mode"] == "incr" else ""
        manifest = {
            "id": name, "job": "database", "kind": "postgresql", "server": "prod-db-1", "size": 1, "base": base,
            "previous": last["id"] if facts["mode"] == "incr" else "", **facts, "began": began.isoformat(),
            "ended": datetime.now(timezone.utc).isoformat(), "sequence": len(self.manifests) + 1,
        }  # fmt: skip
        self.manifests.append(manifest)
        return manifest

    def restored(self, database: Database, moment: str) -> tuple[list[str], str, str]:
        """The chain for a moment, how many rows there were then, and the timeline that the restored one is of."""
        listing = {"manifests": self.manifests, "unfinished": [], "unreadable": []}
        at = datetime.fromisoformat(f"{moment}:00")
        chain = [backup.id for backup in Catalogue.read(listing, "database").until(at)]
        timelines = {manifest["id"]: manifest["postgresql"]["timeline"] for manifest in self.manifests}
        target = self.folder / "restored"
        segment = postgresql.segment_bytes(self.manifests[0]["postgresql"])
        recovery.lay_out(database.facts, [self.folder / name for name in chain], target, segment)
        own = timelines[chain[-1]]
        recovery.reserve(database.facts, target, range(own + 1, max(timelines.values()) + 1))
        scratch = recovery.recover(database.facts, target, moment, 60, own)
        try:
            rows = postgresql.ask(scratch.cluster, "select count(*) from written")
            number = postgresql.ask(scratch.cluster, "select timeline_id from pg_control_checkpoint()")
            self.left = postgresql.descent(scratch.cluster, int(number))["left"]
            return chain, rows, number
        finally:
            scratch.stop()


def written(database: Database, number: int) -> str:
    """Rows, and the moment after them; nothing is committed in the second around it."""
    database.sql(f"insert into written select generate_series(1, {number})")
    time.sleep(0.5)
    moment = database.sql("set timezone to 'UTC'; select clock_timestamp()")
    time.sleep(0.5)
    return moment


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Database]]:
    folder = Path(
        f"/tmp/saltlick-pair-{os.getpid()}"
    )  # short, and reachable for postgres: a socket's path has 107 bytes
    folder.mkdir(mode=0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first, second = Database(folder / "1", port), Database(folder / "2", port)
    try:
        run(BIN / "initdb", "-D", first.data, "--auth=trust", "-N")
        with (first.data / "postgresql.conf").open("a") as settings:
            settings.write("wal_keep_size = 1GB\nfsync = off\n")
        first.start()
        conninfo = ["-h", first.folder, "-p", port]
        run(BIN / "pg_basebackup", *conninfo, "-D", second.data, "-R", "-c", "fast")
        second.start()
        first.sql("create table written (number int)")
        yield first, second
    finally:
        for database in (first, second):
            with contextlib.suppress(AssertionError):  # it is stopped
                database.stop()
        shutil.rmtree(folder)


def test_moments_before_and_after_a_failover(pair: tuple[Database, Database], tmp_path: Path) -> None:
    first, second = pair
    store = Store(second.folder.parent / "store")
    store.folder.mkdir()
    before_all = store.take(first, "full")
    moments = {written(first, 10): "10"}
    last = store.take(first, "incr", before_all)
    moments[written(first, 5)] = "15"
    during = store.take(first, "full")
    moments[written(first, 2)] = "17"
    joined = store.take(first, "incr", during, [last])
    assert joined["follows"] == last["id"]
    moments[written(first, 4)] = "21"
    while second.sql("select count(*) from written") != "21":
        time.sleep(0.1)
    second.sql("select pg_promote()")
    stale = written(first, 100)  # which nobody wants: the second one serves now
    alone = store.take(first, "incr", joined)
    assert alone["postgresql"]["timeline"] == 1
    moments[written(second, 1)] = "22"
    crossing = store.take(second, "incr", joined)
    if crossing["mode"] == "incr":
        assert crossing["previous"] == joined["id"]
    moments[written(second, 3)] = "25"
    end = store.take(second, "incr", crossing)
    assert (end["mode"], end["postgresql"]["timeline"]) == ("incr", 2)
    assert end["postgresql"]["ancestors"][0][0] == 1
    assert end["postgresql"]["born"] < stale
    for moment, rows in moments.items():
        chain, found, timeline = store.restored(second, moment)
        assert (moment, found) == (moment, rows), chain
        assert timeline == "3"  # 2 is taken
    lives_on = store.take(first, "incr", end, others=[alone])  # somebody says that it was the first one after all
    assert (lives_on["mode"], lives_on["previous"]) == ("incr", alone["id"])
    assert store.restored(first, stale)[1] == "121"
    first.stop()
    with pytest.raises(CommandExecutionError):
        store.take(first, "incr", alone)


def test_a_timeline_of_the_same_number_is_not_joined_on_to() -> None:
    last = {"timeline": 2, "ancestors": [[1, "0/5000000"]], "next_segment": 5}
    postgresql.goes_on(2, {"ancestors": [[1, "0/5000000"]]}, last)
    with pytest.raises(postgresql.Chain, match="timeline 2 is another one of that number"):
        postgresql.goes_on(2, {"ancestors": [[1, "0/3000000"]]}, last)
    with pytest.raises(postgresql.Chain, match="timeline 3 is not known to go on from timeline 2"):
        postgresql.goes_on(3, {"ancestors": [[1, "0/3000000"], [2, "0/9000000"]]}, last)
    with pytest.raises(postgresql.Chain, match="branched off before the end of the last backup"):
        postgresql.goes_on(3, {"ancestors": [[1, "0/5000000"], [2, "0/4000000"]]}, last)
    postgresql.goes_on(3, {"ancestors": [[1, "0/5000000"], [2, "0/6000000"]]}, last)


def test_a_restore_to_a_moment_says_where_it_left_the_timeline_before(pair: tuple[Database, Database]) -> None:
    first, _ = pair
    store = Store(first.folder.parent / "store")
    store.folder.mkdir()
    full = store.take(first, "full")
    moment, later = written(first, 10), written(first, 5)
    store.take(first, "incr", full)
    assert store.restored(first, moment)[1:] == ("10", "2")
    assert moment < store.left[0] < later
