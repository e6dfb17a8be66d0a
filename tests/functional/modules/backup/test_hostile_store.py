"""A store that lies, and a service's user that sets traps: nothing of either is done as root."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from functional.modules.backup.conftest import Backups
from salt.exceptions import CommandExecutionError
from support import minion_modules

KEY = "a key of the servers alone"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def uploads(work: Path) -> Path:
    folder = work / "uploads"
    folder.mkdir()
    (folder / "file").write_text("true")
    return folder


@pytest.fixture
def signing(daemon: tuple[int, Path], tmp_path: Path) -> Callable[[str], Backups]:
    """A minion whose store, without a backup yet, has that signing key, or none."""
    shutil.rmtree(daemon[1] / "signed", ignore_errors=True)

    def of(key: str) -> Backups:
        rsync = {"address": "127.0.0.1", "port": daemon[0], "module": "vault", "user": "backup", "password": "secret"}
        store = {"rsync": rsync, **({"signing_key": key} if key else {})}
        folder = tmp_path / f"minion{len(key)}"
        more = {"pillar": {"stores": {"vault": store}}, "saltlick_backup_dir": str(folder / "state")}
        module = minion_modules.modules(folder, "backup", **more)
        return Backups(module, daemon[1], folder / "state", "signed")

    return of


def changed(backups: Backups, took: dict[str, Any], change: Change) -> None:
    path = backups.store / took["id"] / "manifest.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def test_what_a_server_with_the_key_took_is_restored(signing: Callable[[str], Backups], uploads: Path) -> None:
    backups = signing(KEY)
    full = backups.take(uploads)
    (uploads / "file").write_text("later")
    link = backups.take(uploads, mode="incr")
    assert link["previous"] == full["id"]
    (uploads / "file").write_text("spoilt")
    backups.restore(full, link)
    assert (uploads / "file").read_text() == "later"


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(ended="2030-01-01T00:00:00Z"),
        lambda facts: facts["files"]["001-uploads.tar.gz"].update(size=1),
        lambda facts: facts.update(raw_sizes=dict.fromkeys(facts["directories"], 1)),
        lambda facts: facts.pop("signature"),
        lambda facts: facts.update(signature=""),
        lambda facts: facts.update(signature=["x"]),
    ],
)
def test_a_manifest_that_was_changed_in_the_store_is_not_believed(
    signing: Callable[[str], Backups], uploads: Path, change: Change
) -> None:
    backups = signing(KEY)
    full = backups.take(uploads)
    changed(backups, full, change)
    (uploads / "file").write_text("serves")
    with pytest.raises(CommandExecutionError, match=r"is not signed|is signed with another key"):
        backups.restore(full)
    with pytest.raises(CommandExecutionError, match=r"is not signed|is signed with another key"):
        backups.module["backup.verify"]("vault", backups.job, full["id"])
    assert backups.module["backup.catalogue"]("vault", [backups.job])["unreadable"] == [f"signed/{full['id']}"]
    assert (uploads / "file").read_text() == "serves"
    assert backups.take(uploads, mode="incr")["mode"] == "full", "nothing goes on from it"


def test_a_backup_of_another_key_or_of_none_is_not_believed(signing: Callable[[str], Backups], uploads: Path) -> None:
    for other in ("", "another key of somebody"):
        took = signing(other).take(uploads)
        with pytest.raises(CommandExecutionError, match=r"is not signed|is signed with another key"):
            signing(KEY).restore(took)


def test_a_signed_backup_under_another_name_is_not_believed(signing: Callable[[str], Backups], uploads: Path) -> None:
    """An old one in the place of a new one: each is signed for its own name."""
    backups = signing(KEY)
    old, new = backups.take(uploads), backups.take(uploads)
    shutil.rmtree(backups.store / new["id"])
    shutil.copytree(backups.store / old["id"], backups.store / new["id"])
    with pytest.raises(CommandExecutionError, match=f"is the one of signed/{old['id']}"):
        backups.restore(new)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda facts: facts.update(directories={"/etc/cron.d": "001-uploads.tar.gz"}, raw_sizes={"/etc/cron.d": 1}),
            "has no ",
        ),
        (lambda facts: facts["directories"].update({"/etc/../srv": "002-x.tar.gz"}), "does not say which folders"),
        (
            lambda facts: facts.update(directories=dict.fromkeys(facts["directories"], "../x.tar.gz")),
            "as the archive of",
        ),
        (
            lambda facts: facts.update(directories=dict.fromkeys(facts["directories"], "/etc/passwd")),
            "as the archive of",
        ),
        (lambda facts: facts["files"].update({"../../x": {"size": 1, "sha256": "0" * 64}}), "no name below a folder"),
        (lambda facts: facts["files"].update({"/etc/x": {"size": 1, "sha256": "0" * 64}}), "no name below a folder"),
        (lambda facts: facts["files"].update({"x": {"size": 10**30, "sha256": "0" * 64}}), "does not say size"),
        (lambda facts: facts["files"].update({"x": {"size": 1, "sha256": "no"}}), "does not say size"),
        (lambda facts: facts.update(files=[]), "lists no files"),
        (lambda facts: facts.update(kind="script"), "is of kind 'script'"),
        (lambda facts: facts.update(previous="../x"), "as its previous"),
        (lambda facts: facts.update(size="1"), "as its size"),
        (lambda facts: facts.pop("server"), "lacks server"),
        (lambda facts: facts.update(id="20200101T000000Z-full"), "is the one of"),
        (lambda facts: facts.update(hooks=["id"]), "has unknown keys: 'hooks'"),
        (lambda facts: facts.update(zodb={"repozo": []}), "has unknown keys: 'zodb'"),
        (lambda facts: facts["owners"].update(roles=["root"]), r"has unknown keys: 'owners\.roles'"),
        (lambda facts: facts["files"]["001-uploads.tar.gz"].update(mode=4755), "says more than size and SHA-256"),
        (
            lambda facts: facts["files"].update({"evil.sh": {"size": 1, "sha256": "0" * 64}}),
            "lists 'evil.sh', which no backup of kind directories has",
        ),
    ],
)
def test_even_without_a_key_a_manifest_has_what_ours_have(
    signing: Callable[[str], Backups], uploads: Path, change: Change, why: str
) -> None:
    backups = signing("")
    full = backups.take(uploads)
    changed(backups, full, change)
    with pytest.raises(CommandExecutionError, match=why):
        backups.restore(full)
    assert (uploads / "file").read_text() == "true"


def test_a_file_that_nobody_signed_beside_those_of_a_backup_is_not_used(
    signing: Callable[[str], Backups], uploads: Path
) -> None:
    backups = signing(KEY)
    full = backups.take(uploads)
    (backups.store / full["id"] / "repozo").mkdir()
    (backups.store / full["id"] / "repozo" / "2099-01-01.fsz").write_text("theirs")
    with pytest.raises(CommandExecutionError, match=r"is damaged: repozo/2099-01-01\.fsz is no file of this backup"):
        backups.restore(full)
    problems = backups.module["backup.verify"]("vault", backups.job, full["id"])["problems"]
    assert problems == ["repozo/2099-01-01.fsz is no file of this backup"]


def test_a_file_that_a_manifest_does_not_list_is_never_fetched(
    backups: Backups, daemon: tuple[int, Path], uploads: Path, work: Path
) -> None:
    took = backups.take(uploads)
    (backups.store / took["id"] / "repozo").mkdir()
    (backups.store / took["id"] / "repozo" / "2099-01-01.fsz").write_text("theirs")
    (backups.store / took["id"] / "link").symlink_to("/etc/passwd")
    rsync = {"address": "127.0.0.1", "port": daemon[0], "module": "vault", "user": "backup", "password": "secret"}
    stores = sys.modules["_saltlick_backup_stores"]
    store = stores.opened({"vault": {"rsync": rsync}}, "vault", {})
    assert {*store.files(backups.job, took["id"])} > {"001-uploads.tar.gz", "repozo/2099-01-01.fsz", "manifest.json"}
    store.get(backups.job, took["id"], work / "fetched", took["files"])
    assert [str(path.relative_to(work / "fetched")) for path in (work / "fetched").rglob("*")] == ["001-uploads.tar.gz"]


def test_a_file_that_grew_in_the_store_is_not_fetched(signing: Callable[[str], Backups], uploads: Path) -> None:
    backups = signing(KEY)
    full = backups.take(uploads)
    with (backups.store / full["id"] / "001-uploads.tar.gz").open("ab") as file:
        file.truncate(1 << 26)
    with pytest.raises(CommandExecutionError, match=r"is damaged: 001-uploads\.tar\.gz has 67108864 bytes and not"):
        backups.restore(full)
    (problem,) = backups.module["backup.verify"]("vault", backups.job, full["id"])["problems"]
    assert problem.startswith("001-uploads.tar.gz has 67108864 bytes and not")


def test_a_store_decides_over_no_folder(signing: Callable[[str], Backups], uploads: Path, work: Path) -> None:
    backups = signing(KEY)
    other = work / "other"
    other.mkdir()
    full = backups.take(uploads, other)
    (other / "new").touch()
    backups.restore(full, directories=[str(uploads)])
    assert (other / "new").exists()
    with pytest.raises(CommandExecutionError, match="name the folders to restore"):
        backups.restore(full, directories=[])


@pytest.mark.parametrize("name", [".uploads.restored", "uploads.before-restore", ".uploads.drill"])
@pytest.mark.parametrize("swap", [True, False])
def test_a_link_in_the_place_of_what_a_restore_makes_leads_nowhere(
    signing: Callable[[str], Backups], uploads: Path, work: Path, name: str, swap: bool
) -> None:
    backups = signing(KEY)
    full = backups.take(uploads)
    victim = work.parent / "of-root"
    victim.mkdir()
    (victim / "secret").write_text("root's")
    before = victim.stat()
    os.chown(work, 65534, 65534)
    (work / name).symlink_to(victim)
    backups.restore(full, swap=swap)
    assert [path.name for path in victim.iterdir()] == ["secret"]
    assert ((victim / "secret").read_text(), victim.stat().st_uid) == ("root's", before.st_uid)
    assert victim.stat().st_mode == before.st_mode
