"""Backups in a bucket by the real rclone: encrypted on this side too, with a key that is seen nowhere."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from salt.exceptions import CommandExecutionError
from support import minion_modules

if TYPE_CHECKING:
    from pathlib import Path

RCLONE = shutil.which("rclone") or ""
pytestmark = pytest.mark.skipif(
    not RCLONE, reason="no rclone here (Debian: apt install rclone), which tools/test.sh installs"
)

KEY = "needle-in-the-haystack-0123456789"
CONTENT = "what the folder says " * 50
FULL = "20261102T020000Z-full"
INCR = "20261102T030000Z-incr"


class Server:
    """A minion with a folder, stores in a bucket of its own, and an rclone that writes down its command lines."""

    def __init__(self, folder: Path, moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.bucket = folder, f"acme-{folder.name.replace('_', '-')}"[:60].rstrip("-0")
        self.s3 = boto3.client(
            "s3", endpoint_url=moto, aws_access_key_id="key", aws_secret_access_key="s3cret", region_name="us-east-1"
        )
        self.s3.create_bucket(Bucket=self.bucket)
        self.files = folder / "uploads"
        self.files.mkdir()
        (self.files / "one").write_text(CONTENT)
        self.lines = folder / "lines"
        shim = folder / "bin" / "rclone"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {self.lines}\nexec {RCLONE} "$@"\n')
        shim.chmod(0o755)
        monkeypatch.setenv("PATH", f"{shim.parent}:/usr/bin:/bin")
        self.declared = {
            "bucket": self.bucket, "prefix": "prod", "endpoint": moto, "region": "us-east-1",
            "access_key": "key", "secret_key": "s3cret",
        }  # fmt: skip

    def call(self, function: str, *arguments: Any, key: str = KEY, **named: Any) -> Any:
        stores = {"vault": {"s3": self.declared, "encryption_key": key}, "plain": {"s3": self.declared}}
        functions = minion_modules.modules(
            self.folder,
            "backup",
            pillar={"stores": stores},
            saltlick_backup_dir=str(self.folder / "backup"),
            surroundings={"driver": "env"},
        )
        return functions[f"backup.{function}"](*arguments, **named)

    def take(self, backup: str, key: str = KEY) -> Any:
        options = {"directories": [str(self.files)]}
        mode = backup.rpartition("-")[2]
        return self.call("take", "vault", "files", backup, "directories", mode=mode, options=options, key=key)

    def objects(self) -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return {each["Key"]: self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read() for each in listed}


@pytest.fixture
def server(tmp_path: Path, moto: str, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(tmp_path, moto, monkeypatch)


def test_there_and_back(server: Server) -> None:
    full = server.take(FULL)
    (server.files / "two").write_text("more")
    link = server.take(INCR)
    assert (full["mode"], link["mode"], link["base"]) == ("full", "incr", FULL)
    assert [each["id"] for each in server.call("catalogue", "vault", ["files"])["manifests"]] == [FULL, INCR]
    assert server.call("verify", "vault", "files", FULL)["problems"] == []
    (server.files / "one").unlink()
    server.call("restore", "vault", "files", [FULL, INCR], "directories", swap=True, directories=[str(server.files)])
    assert {path.name: path.read_text() for path in server.files.iterdir()} == {"one": CONTENT, "two": "more"}
    server.call("prune", "vault", "files", [INCR])
    assert not [name for name in server.objects() if INCR in name]
    assert [name for name in server.objects() if FULL in name]


def test_nothing_in_the_bucket_can_be_read_and_the_key_is_seen_nowhere(server: Server) -> None:
    told = server.take(FULL)
    objects = server.objects()
    assert all(content.startswith(b"RCLONE\0\0") for content in objects.values())
    assert f"prod/files/{FULL}/manifest.json.bin" in objects
    assert "copy" in server.lines.read_text()
    seen = [server.lines.read_text(), str(told)]
    with pytest.raises(CommandExecutionError) as refused:
        server.call("restore", "vault", "files", ["20990101T000000Z-full"], "directories")
    seen.append(str(refused.value))
    left = [path for path in (server.folder / "backup").rglob("*") if path.is_file()]
    seen += [path.read_bytes().decode("utf-8", "replace") for path in left]
    assert not [text for text in seen if KEY in text or "s3cret" in text]


def test_without_the_key_or_with_another_nothing_is_found_and_it_is_said(server: Server) -> None:
    server.take(FULL)
    with pytest.raises(
        CommandExecutionError, match="no manifest can be decrypted with this store's encryption_key"
    ) as refused:
        server.call("catalogue", "vault", ["files"], key="another-key-of-the-same-length")
    assert "another-key" not in str(refused.value)


def test_one_manifest_that_is_damaged_is_no_unfinished_backup(server: Server) -> None:
    """What is unfinished is removed; a manifest that cannot be read is shown."""
    server.take(FULL)
    server.take(INCR)
    name = f"prod/files/{INCR}/manifest.json.bin"
    server.s3.put_object(Bucket=server.bucket, Key=name, Body=server.objects()[name][:-5])
    listing = server.call("catalogue", "vault", ["files"])
    assert [each["id"] for each in listing["manifests"]] == [FULL]
    assert (listing["unfinished"], listing["unreadable"]) == ([], [f"files/{INCR}"])


def test_an_rsync_store_refuses_a_key_that_it_would_not_use(server: Server) -> None:
    rsync = {"address": "127.0.0.1", "module": "x", "user": "x", "password": "x"}
    functions = minion_modules.modules(
        server.folder, "backup", pillar={"stores": {"vault": {"rsync": rsync, "encryption_key": KEY}}}
    )
    with pytest.raises(
        CommandExecutionError, match="`encryption_key` is for `s3`; an rsync store keeps files as they are"
    ):
        functions["backup.catalogue"]("vault", ["files"])


def test_a_key_from_sdb_is_looked_up_by_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_KEY", KEY)
    server.take(FULL, key="sdb://surroundings/BACKUP_KEY")
    assert [each["id"] for each in server.call("catalogue", "vault", ["files"])["manifests"]] == [FULL]


@pytest.mark.parametrize("address", ["sdb://surroundings/NOT_THERE", "sdb://nobody/x"])
def test_an_address_that_leads_nowhere_is_no_key(server: Server, address: str) -> None:
    with pytest.raises(CommandExecutionError, match=rf"store vault: (this minion finds nothing at )?{address}"):
        server.take(FULL, key=address)
    assert server.objects() == {}


def test_a_damaged_object_is_seen(server: Server) -> None:
    server.take(FULL)
    (name,) = [name for name in server.objects() if name.endswith(".tar.gz.bin")]
    content = server.objects()[name]
    server.s3.put_object(Bucket=server.bucket, Key=name, Body=content[:-3] + b"XXX")
    with pytest.raises(CommandExecutionError):
        server.call("verify", "vault", "files", FULL)
    server.s3.delete_object(Bucket=server.bucket, Key=name)
    (problem,) = server.call("verify", "vault", "files", FULL)["problems"]
    assert "is missing" in problem


@pytest.mark.parametrize("by", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE"])
def test_the_endpoint_of_the_servers_own_configuration_counts(
    server: Server, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    endpoint = server.declared.pop("endpoint")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    settings = server.folder / "aws-config"
    settings.write_text(f"[default]\nregion = us-east-1\nendpoint_url = {endpoint}\n")
    monkeypatch.setenv(by, str(settings) if by == "AWS_CONFIG_FILE" else endpoint)
    server.take(FULL)
    assert f"prod/files/{FULL}/manifest.json.bin" in server.objects()


def test_a_configuration_that_cannot_be_read_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.declared.pop("endpoint")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = server.folder / "aws-config"
    settings.write_text("endpoint_url = http://nowhere\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))
    with pytest.raises(CommandExecutionError, match="this machine's AWS configuration cannot be read"):
        server.take(FULL)
