"""A ZODB out of a store, or in the hands of its own user: what reads it is never root. Its programs are stand-ins that tell
who runs them; the real ones, with a hostile index, are in the tests of the formulas."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from functional.modules.backup.conftest import Backups, names
from functional.modules.backup.test_hostile_user import SECRET, module, place, victim  # noqa: F401 - fixtures
from salt.exceptions import CommandExecutionError
from support import minion_modules

USER = "games"
REPOZO = """#!/bin/sh
echo repozo as $(id -un) >>WHO
test "$1" = -B || { cat "$3"/*.fsz | gzip -dc >"$5"; exit; }
while test "$1" != -r; do shift; done
n=$(ls "$2" | grep -c fsz)
gzip -c "$4" >"$2/2026-11-02-02-00-0$n.fsz"
touch "$2/2026-11-02-02-00-0$n.dat" "$2/2026-11-02-02-00-0$n.index"
PLANT
"""
PYTHON = """#!/bin/sh
echo python as $(id -un) >>WHO
case "$2" in *version*) echo 6.0; exit;; esac
s=$(stat -c %s "$5")
echo '{"transactions": 1, "blobs": 0, "missing": [], "objects": 1, "last": "now", "size": '$s', "file_size": '$s'}'
"""
Change = Callable[[Path, dict[str, Any]], None]


class Objects:
    """A ZODB of the user's own, backed up to the store."""

    def __init__(self, backups: Backups, folder: Path) -> None:
        self.backups, self.folder, self.who = backups, folder, folder / "who"
        self.data, self.blobs = folder / "srv" / "filestorage" / "Data.fs", folder / "srv" / "blobs"
        self.data.parent.mkdir(parents=True)
        self.blobs.mkdir()
        self.data.write_text("objects")
        (self.blobs / "blob").write_text("a blob")
        (folder / "bin").mkdir()
        self.programs("")
        self.who.touch()
        self.who.chmod(0o666)
        self.own(folder / "srv")

    @property
    def facts(self) -> dict[str, str]:
        programs = {"repozo": str(self.folder / "bin" / "repozo"), "program": ""}
        return {"data": str(self.data), "blobs": str(self.blobs), "user": USER, **programs}

    def programs(self, plant: str) -> None:
        """Stand-ins; `plant` is what repozo does besides, as $2 in the folder that it writes to."""
        for name, text in (("repozo", REPOZO.replace("PLANT", plant)), ("python", PYTHON)):
            (self.folder / "bin" / name).write_text(text.replace("WHO", str(self.who)))
            (self.folder / "bin" / name).chmod(0o755)

    def own(self, folder: Path) -> None:
        entry = pwd.getpwnam(USER)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def take(self) -> dict[str, Any]:
        took: dict[str, Any] = self.backups.module["backup.take"](
            "vault", self.backups.job, "20261102T020000Z-full", "zodb"
        )
        return took

    def restore(self, **more: Any) -> dict[str, Any]:
        done: dict[str, Any] = self.backups.module["backup.restore"](
            "vault", self.backups.job, ["20261102T020000Z-full"], "zodb", **more
        )
        return done

    def forged(self, change: Change) -> None:
        """The store's owner changes files of the backup, and the manifest to match."""
        folder = self.backups.store / "20261102T020000Z-full"
        facts = json.loads((folder / "manifest.json").read_text())
        change(folder, facts)
        (folder / "manifest.json").write_text(json.dumps(facts))


@pytest.fixture
def objects(
    daemon: tuple[int, Path],
    place: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Objects:
    """Of a minion whose own folder lies where others may pass through, as it does on a server."""
    rsync = {"address": "127.0.0.1", "port": daemon[0], "module": "vault", "user": "backup", "password": "secret"}
    more = {"pillar": {"stores": {"vault": {"rsync": rsync}}}, "saltlick_backup_dir": str(place / "state")}
    functions = minion_modules.modules(place / "minion", "backup", **more)
    shutil.rmtree(daemon[1] / "objects", ignore_errors=True)
    made = Objects(Backups(functions, daemon[1], place / "state", "objects"), place)
    facts = place / "zeo.json"
    facts.write_text(json.dumps(made.facts))
    monkeypatch.setattr(module(made.backups, "zodb"), "FACTS", facts)
    return made


def filed(folder: Path, facts: dict[str, Any], name: str, raw: bytes) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(raw)
    facts["files"][name] = {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def test_what_reads_a_data_fs_runs_as_the_services_user(objects: Objects) -> None:
    objects.take()
    check = {"name": "who", "command": "id -un", "equals": USER}
    script = {"command": f'test "$(id -un)" = {USER} && cat "$ZODB_DATA" && echo more >> "$ZODB_DATA"'}
    done = objects.restore(checks=[check], scripts=[script])
    assert done["checks"][1]["value"] == USER
    lines = objects.who.read_text().splitlines()
    assert {line.split()[0] for line in lines} == {"repozo", "python"}
    assert {line.split()[-1] for line in lines} == {USER}
    assert names(objects.data.parent) == ["Data.fs"]
    assert objects.data.read_text() == "objects"


def test_a_script_is_roots_only_where_it_says_so(objects: Objects) -> None:
    objects.take()
    checks = [{"name": "who", "command": "id -un", "user": "root", "equals": "root"}]
    assert objects.restore(checks=checks)["checks"][1]["value"] == "root"


@pytest.mark.parametrize("name", ["2026-11-02-02-00-00.fsz", "2026-11-02-02-00-00.dat"])
def test_a_link_among_the_files_of_repozo_is_not_backed_up(
    objects: Objects,
    victim: Path,  # noqa: F811
    name: str,
) -> None:
    objects.programs(f'ln -sf {victim} "$2/{name}"')
    with pytest.raises(CommandExecutionError, match=rf"{name} cannot be read"):
        objects.take()
    assert not list(objects.backups.store.rglob("*.fsz"))
    assert victim.read_text() == SECRET


@pytest.mark.parametrize(
    "name",
    ["repozo/2026-11-02-02-00-00.index", "repozo/Data.fs.index", "repozo/x.fs", "repozo/sub/x.fs", "evil.sh"],
)
def test_an_index_and_whatever_else_is_no_file_of_repozo_is_refused(objects: Objects, name: str) -> None:
    objects.take()

    def planted(folder: Path, facts: dict[str, Any]) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        filed(folder, facts, name, b"a pickle")

    objects.forged(planted)
    objects.who.write_text("")
    with pytest.raises(CommandExecutionError, match=rf"lists '{name}', which no backup of kind zodb has"):
        objects.restore()
    assert objects.who.read_text() == ""


def test_a_file_of_repozo_that_holds_more_than_the_manifest_says_is_not_unpacked(objects: Objects) -> None:
    objects.take()
    bomb = gzip.compress(bytes(64 << 20))
    objects.forged(lambda folder, facts: filed(folder, facts, "repozo/2026-11-02-02-00-00.fsz", bomb))
    objects.who.write_text("")
    with pytest.raises(CommandExecutionError, match=r"02-00-00\.fsz holds more than the \d+ bytes that it can have"):
        objects.restore()
    assert objects.who.read_text() == ""
    assert names(objects.data.parent) == ["Data.fs"]


def test_an_archive_of_blobs_holds_no_link(objects: Objects, victim: Path) -> None:  # noqa: F811
    (objects.blobs / "link").symlink_to(victim)
    objects.take()
    with pytest.raises(CommandExecutionError, match=r"holds a link or a device, './link'"):
        objects.restore(swap=True)
    shutil.rmtree(objects.blobs)
    assert names(objects.data.parent) == ["Data.fs"]
    assert (victim.read_text(), victim.stat().st_uid) == (SECRET, 0)
