"""The execution module `backup`, loaded by Salt's own loader, with a real rsync daemon as its store and the real GNU tar."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support import minion_modules

from saltlick.fleet.answers import fault

T0 = datetime(2026, 11, 2, 2, 0, tzinfo=timezone.utc)
_numbers = itertools.count(1)
NEEDED = ("rsync", "setfacl", "setfattr", "setcap")


def shell(command: str, folder: Path) -> str:
    """What a script prints; AssertionError when it fails."""
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def unlike(folder: Path, other: Path) -> str:
    """What rsync would change to make one folder like the other: content, owners, times, ACLs, attributes, links, devices."""
    compare = ["rsync", "-aHAXnic", "--delete", "--devices", "--specials", f"{folder}/", f"{other}/"]
    return subprocess.run(compare, check=True, capture_output=True, text=True, errors="replace").stdout


class Backups:
    """Backups of folders of this machine, in a job of the test's own; ids go by a clock of their own."""

    def __init__(self, module: Any, store: Path, state: Path, job: str) -> None:
        self.module, self.store, self.state, self.job = module, store / job, state, job
        self._number = 0

    def take(self, *folders: Path, mode: str = "full") -> dict[str, Any]:
        self._number += 1
        backup = f"{T0 + timedelta(hours=self._number):%Y%m%dT%H%M%SZ}-{mode}"
        options = {"directories": [str(folder) for folder in folders]}
        manifest = self.module["backup.take"]("vault", self.job, backup, "directories", mode=mode, options=options)
        return self._formed("backup.take", manifest)

    def restore(self, *chain: dict[str, Any], swap: bool = True, **more: Any) -> dict[str, Any]:
        ids = [link["id"] for link in chain]
        more = {"directories": list(chain[-1]["directories"]), **more}
        return self._formed(
            "backup.restore", self.module["backup.restore"]("vault", self.job, ids, "directories", swap=swap, **more)
        )

    @staticmethod
    def _formed(function: str, value: dict[str, Any]) -> dict[str, Any]:
        """Of the form that the master wants of that function."""
        assert not fault(function, value)
        return value


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "srv"
    folder.mkdir()
    return folder


@pytest.fixture(scope="package")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of an rsync daemon, and the folder that it serves as the module `vault`."""
    if os.geteuid() != 0:
        pytest.skip("needs root, as a minion has it")
    if lacking := [name for name in NEEDED if not shutil.which(name)]:
        pytest.skip(f"needs {', '.join(lacking)} (Debian: acl, attr, libcap2-bin, rsync)")
    folder = tmp_path_factory.mktemp("vault")
    store, secrets = folder / "store", folder / "rsync.secrets"
    store.mkdir()
    secrets.write_text("backup:secret\n")
    secrets.chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = f"[vault]\npath = {store}\nauth users = backup\nsecrets file = {secrets}\nread only = no\n"
    (folder / "rsyncd.conf").write_text(
        f"use chroot = no\nreverse lookup = no\nuid = root\ngid = 0\naddress = 127.0.0.1\n{module}"
    )
    words = ["rsync", "--daemon", "--no-detach", f"--port={port}", f"--config={folder / 'rsyncd.conf'}"]
    with subprocess.Popen([*words, f"--log-file={folder / 'rsyncd.log'}"], stdin=subprocess.DEVNULL) as process:
        _answers(port, process)
        yield port, store
        process.terminate()


def _answers(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, "the rsync daemon ended"
            assert time.monotonic() < deadline, "the rsync daemon does not listen"
            time.sleep(0.02)


@pytest.fixture(scope="package")
def minion(daemon: tuple[int, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The functions of a minion that knows the store, and the folder that it works in."""
    rsync = {"address": "127.0.0.1", "port": daemon[0], "module": "vault", "user": "backup", "password": "secret"}
    folder = tmp_path_factory.mktemp("minion")
    more = {"pillar": {"stores": {"vault": {"rsync": rsync}}}, "saltlick_backup_dir": str(folder / "state")}
    return minion_modules.modules(folder, "backup", **more), folder / "state"


@pytest.fixture
def backups(daemon: tuple[int, Path], minion: tuple[Any, Path]) -> Backups:
    return Backups(minion[0], daemon[1], minion[1], f"files-{next(_numbers)}")


@pytest.fixture
def mounted() -> Iterator[Callable[..., Path]]:
    """Mounts a small file system of its own at a folder until the test ends."""
    folders: list[Path] = []

    def mount(folder: Path, size: str = "16m", kind: str = "tmpfs") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", kind, "-o", f"size={size}", "none", folder], check=True)
        folders.append(folder)
        return folder

    yield mount
    for folder in reversed(folders):
        subprocess.run(["umount", folder], check=True)
