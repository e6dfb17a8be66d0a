"""A Salt master is lost: what it knew is in a bucket, and a new machine takes its place with it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import salt.utils.crypt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from salt.exceptions import CommandExecutionError
from support import minion_modules

from saltlick.jobs.holder import Mode
from saltlick.jobs.lock import Locks
from saltlick.jobs.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not shutil.which("rclone"), reason="no rclone here (Debian: apt install rclone), which tools/test.sh installs"
)

KEY = "needle-in-the-haystack-0123456789"
FULL = "20261102T020000Z-full"
SERVICES = """
import pathlib
def _called(verb, name):
    with open({lines!r}, "a") as lines:
        lines.write(f"{{verb}} {{name}}\\n")
    return True
def stop(name):
    return _called("stop", name)
def start(name):
    return _called("start", name)
def restart(name):
    return _called("restart", name)
"""


def key_pair(folder: Path, name: str) -> None:
    """A pair of RSA keys as Salt keeps them."""
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(private)
    (folder / f"{name}.pem").chmod(0o400)
    (folder / f"{name}.pub").write_bytes(public)


class Machine:
    """A machine with a master and its own minion, as first boot leaves it."""

    def __init__(self, folder: Path, stores: dict[str, Any]) -> None:
        self.folder, self.stores = folder, stores
        self.etc, self.cache = folder / "etc", folder / "cache"
        self.keys, self.memory = self.etc / "pki" / "master", self.cache / "saltlick"
        self.lines = folder / "lines"
        key_pair(self.keys, "master")
        key_pair(self.etc / "pki" / "minion", "minion")
        (self.keys / "minions").mkdir()
        self.accept("salt-master", (self.etc / "pki" / "minion" / "minion.pub").read_text())
        (self.etc / "pki" / "minion" / "minion_master.pub").write_bytes((self.keys / "master.pub").read_bytes())
        (self.etc / "master.d").mkdir()
        (self.etc / "master").write_text(f"root_dir: {folder}\npki_dir: {self.keys}\ncachedir: {self.cache}\n")
        (self.etc / "master.d" / "saltlick.conf").write_text(f"# of {folder.name}\n")
        (self.etc / "minion.d").mkdir()
        (self.etc / "minion.d" / "saltlick.conf").write_text(f"id: salt-master\nmaster_finger: '{self.finger}'\n")
        fakes = folder / "fakes" / "modules"
        fakes.mkdir(parents=True)
        (fakes / "service.py").write_text(SERVICES.format(lines=str(self.lines)))

    @property
    def finger(self) -> str:
        return str(salt.utils.crypt.pem_finger(str(self.keys / "master.pub"), sum_type="sha256"))

    def accept(self, minion: str, key: str) -> None:
        (self.keys / "minions" / minion).write_text(key)

    def call(self, function: str, *arguments: Any, cli: str = "salt-call", **named: Any) -> Any:
        functions = minion_modules.modules(
            self.folder, "backup", "service",
            id="salt-master", conf_dir=str(self.etc), pki_dir=str(self.etc / "pki" / "minion"), hash_type="sha256",
            pillar={"stores": self.stores}, saltlick_backup_dir=str(self.folder / "backup"), __cli=cli,
            module_dirs=[str(self.folder / "fakes"), str(minion_modules.ROOT)],
        )  # fmt: skip
        return functions[f"backup.{function}"](*arguments, **named)

    def tell(self, reason: str) -> None:
        """Write into the store as a job does, and take the lock of prod by hand."""
        store = Store(self.memory / "saltlick.sqlite")
        store.create("create table if not exists jobs (reason text)")
        with store.transaction() as db:
            db.execute("insert into jobs values (?)", (reason,))
        store.close()
        Locks(folder=self.memory / "locks").take("prod", reason=reason, mode=Mode.MANUAL)

    def told(self) -> list[str]:
        with closing(sqlite3.connect(self.memory / "saltlick.sqlite")) as db:
            return [reason for (reason,) in db.execute("select reason from jobs")]


@pytest.fixture
def stores(tmp_path: Path, moto: str) -> dict[str, Any]:
    bucket = f"acme-{tmp_path.name.replace('_', '-')}"[:60].strip("-")
    how = {"aws_access_key_id": "key", "aws_secret_access_key": "s3cret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=moto, **how).create_bucket(Bucket=bucket)
    s3 = {"bucket": bucket, "prefix": "control", "endpoint": moto, "region": "us-east-1",
          "access_key": "key", "secret_key": "s3cret"}  # fmt: skip
    return {"vault": {"s3": s3, "encryption_key": KEY}}


@pytest.fixture
def lost(tmp_path: Path, stores: dict[str, Any]) -> Machine:
    """The former master, which knows two minions and a history, and is backed up."""
    machine = Machine(tmp_path / "lost", stores)
    machine.accept("prod-db-1", "the key of prod-db-1")
    machine.accept("prod-app-1", "the key of prod-app-1")
    (machine.etc / "master.d" / "sdb.conf").write_text("secrets: {driver: env}\n")
    machine.tell("release of v2.3")
    live = Store(machine.memory / "saltlick.sqlite")  # somebody has it open, with rows that are not in the file yet
    with live.transaction() as db:
        db.execute("insert into jobs values ('still in the WAL')")
    taken = machine.call("take", "vault", "master", FULL, "master", environment="control")
    live.close()
    assert set(taken["files"]) == {"saltlick.sqlite", "keys.tar.gz", "memory.tar.gz", "settings.tar.gz"}
    return machine


@pytest.fixture
def fresh(tmp_path: Path, stores: dict[str, Any]) -> Machine:
    return Machine(tmp_path / "fresh", stores)


def test_a_new_machine_takes_its_place(lost: Machine, fresh: Machine) -> None:
    own, before = (fresh.keys / "minions" / "salt-master").read_text(), fresh.finger
    fresh.tell("the first minutes")
    done = fresh.call("recover_master", "vault")
    assert fresh.finger == lost.finger == done["master_finger"] != before
    assert (fresh.keys / "master.pem").stat().st_mode & 0o777 == 0o400
    assert done["minions"] == ["prod-app-1", "prod-db-1"]
    assert (fresh.keys / "minions" / "prod-db-1").read_text() == "the key of prod-db-1"
    assert (fresh.keys / "minions" / "salt-master").read_text() == own
    assert fresh.told() == ["release of v2.3", "still in the WAL"]
    holder = Locks(folder=fresh.memory / "locks").read("prod")
    assert holder is not None
    assert (holder.mode, holder.reason) == (Mode.MANUAL, "release of v2.3")
    assert fresh.lines.read_text().splitlines() == ["stop salt-master", "start salt-master", "restart salt-minion"]


def test_its_own_minion_follows_and_settings_are_added_not_replaced(lost: Machine, fresh: Machine) -> None:
    done = fresh.call("recover_master", "vault", backup=FULL)
    assert lost.finger in (fresh.etc / "minion.d" / "saltlick.conf").read_text()
    assert not (fresh.etc / "pki" / "minion" / "minion_master.pub").exists()
    assert done["settings"] == [str(fresh.etc / "master.d" / "sdb.conf")]
    assert (fresh.etc / "master.d" / "saltlick.conf").read_text() == "# of fresh\n"


def test_what_the_new_machine_had_is_kept_beside(lost: Machine, fresh: Machine) -> None:
    before = fresh.finger
    fresh.tell("the first minutes")
    kept = fresh.call("recover_master", "vault")["kept"]
    assert lost.finger != before
    assert salt.utils.crypt.pem_finger(f"{kept}/keys/master.pub", sum_type="sha256") == before
    with closing(sqlite3.connect(f"{kept}/memory/saltlick.sqlite")) as db:
        assert db.execute("select reason from jobs").fetchall() == [("the first minutes",)]


def test_again_is_the_same(lost: Machine, fresh: Machine) -> None:
    fresh.call("recover_master", "vault")
    fresh.call("recover_master", "vault")
    assert fresh.finger == lost.finger
    assert fresh.told() == ["release of v2.3", "still in the WAL"]


@pytest.mark.parametrize("cli", ["", "salt-run"])
def test_only_by_hand_on_the_machine_itself(fresh: Machine, lost: Machine, cli: str) -> None:
    with pytest.raises(CommandExecutionError, match="call it on the master itself, with salt-call"):
        fresh.call("recover_master", "vault", cli=cli)
    assert fresh.finger != lost.finger


def test_no_backup_or_another_kind_touches_nothing(fresh: Machine) -> None:
    before = fresh.finger
    with pytest.raises(CommandExecutionError, match="store vault has no finished backup of master"):
        fresh.call("recover_master", "vault")
    options = {"directories": [str(fresh.etc)]}
    fresh.call("take", "vault", "files", FULL, "directories", options=options)
    with pytest.raises(CommandExecutionError, match=f"files/{FULL} is of kind directories, and not of a master"):
        fresh.call("recover_master", "vault", "files")
    assert fresh.finger == before
    assert not fresh.lines.exists()


def test_a_machine_that_is_no_master_has_nothing_to_back_up(fresh: Machine) -> None:
    (fresh.keys / "master.pem").unlink()
    with pytest.raises(CommandExecutionError, match="salt-master is no Salt master"):
        fresh.call("take", "vault", "master", FULL, "master")


def test_a_store_that_is_damaged_is_not_backed_up_as_if_it_were_whole(fresh: Machine) -> None:
    fresh.memory.mkdir(parents=True)
    (fresh.memory / "saltlick.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 4096)
    with pytest.raises(CommandExecutionError, match=r"cannot be copied|is damaged"):
        fresh.call("take", "vault", "master", FULL, "master")
    assert fresh.call("catalogue", "vault", ["master"])["manifests"] == []
