"""Backups of folders with the real tar and rsync."""

from __future__ import annotations

import pytest
from formulas.backup.backup_vault import Vault

pytestmark = pytest.mark.e2e


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
    vault.call("restore", "vault", "files", chain[:1], "directories", swap=True, **options)
    assert vault.server.run("cd /srv/uploads; cat a/one two; stat -c %U a/one; ls").split() == [
        "one",
        "two",
        "www-data",
        "a",
        "two",
    ]
    vault.call("restore", "vault", "files", chain, "directories", swap=True, **options)
    assert vault.server.run("cd /srv/uploads; cat a/one a/three; ls").split() == ["changed", "three", "a"]
