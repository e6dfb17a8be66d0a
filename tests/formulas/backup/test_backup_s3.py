"""Backups in a bucket: encrypted, damaged, pruned, out of reach."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import boto3
import pytest
from formulas.backup.backup_vault import Vault, counted, orders, write
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

pytestmark = pytest.mark.e2e

KEY = "needle-in-the-haystack-0123456789"
"""What the servers encrypt with before anything leaves them."""


class Bucket:
    """A service that speaks S3, at the address of this machine in the servers' network; it can be away."""

    def __init__(self, address: str) -> None:
        self._serving = make_server(address, 0, DomainDispatcherApplication(create_backend_app), threaded=True)
        self.endpoint = f"http://{address}:{self._serving.server_port}"
        threading.Thread(target=self._serving.serve_forever, daemon=True).start()
        how = {"aws_access_key_id": "key", "aws_secret_access_key": "s3cret", "region_name": "us-east-1"}
        self.client = boto3.client("s3", endpoint_url=self.endpoint, **how)
        self.client.create_bucket(Bucket="acme-backups")

    def names(self) -> list[str]:
        return [each["Key"] for each in self.client.list_objects_v2(Bucket="acme-backups").get("Contents", ())]

    def close(self) -> None:
        self._serving.shutdown()
        self._serving.server_close()


@pytest.fixture(scope="module")
def bucket(vault: Vault) -> Iterator[Bucket]:
    address = vault.server.run("ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'").strip()
    made = Bucket(address)
    s3 = {
        "bucket": "acme-backups",
        "prefix": "prod",
        "encryption": "AES256",
        "endpoint": made.endpoint,
        "region": "us-east-1",
    }
    stores = {
        **vault.server.suite.pillar["stores"],
        "offsite": {"s3": {**s3, "access_key": "key", "secret_key": "s3cret"}},
        "encrypted": {
            "s3": {**s3, "prefix": "encrypted", "access_key": "key", "secret_key": "s3cret"},
            "encryption_key": KEY,
        },
    }
    vault.server.apply(stores=stores)
    yield made
    made.close()


def test_into_a_bucket_encrypted_and_back(vault: Vault, bucket: Bucket) -> None:
    write(vault, 1)
    rows = int(orders(vault))
    full = vault.call("take", "offsite", "database", vault.next_id("full"), "postgresql")
    write(vault, 3)
    link = vault.call("take", "offsite", "database", vault.next_id("incr"), "postgresql", mode="incr")
    assert link["previous"] == full["id"]
    keys = bucket.names()
    assert f"prod/database/{full['id']}/manifest.json" in keys
    heads = [bucket.client.head_object(Bucket="acme-backups", Key=key) for key in keys]
    assert {head["ServerSideEncryption"] for head in heads} == {"AES256"}
    told = vault.call("catalogue", "offsite", ["database"])
    assert [each["id"] for each in told["manifests"]] == [full["id"], link["id"]]
    vault.call("restore", "offsite", "database", [full["id"], link["id"]], "postgresql", checks=counted(rows + 3))


def test_damage_in_a_bucket_is_seen(vault: Vault, bucket: Bucket) -> None:
    (key,) = [key for key in bucket.names() if key.endswith("base.tar.gz")]
    backup = key.split("/")[2]
    whole = bucket.client.get_object(Bucket="acme-backups", Key=key)["Body"].read()
    for content, said in ((b"X" + whole[1:], "other content"), (whole[:-9], "bytes and not")):
        bucket.client.put_object(Bucket="acme-backups", Key=key, Body=content)
        (problem,) = vault.call("verify", "offsite", "database", backup)["problems"]
        assert said in problem
    bucket.client.delete_object(Bucket="acme-backups", Key=key)
    assert vault.call("verify", "offsite", "database", backup)["problems"] == ["base/base.tar.gz is missing"]
    bucket.client.put_object(Bucket="acme-backups", Key=key, Body=whole)
    assert vault.call("verify", "offsite", "database", backup)["problems"] == []


def test_pruned_in_a_bucket(vault: Vault, bucket: Bucket) -> None:
    link = vault.call("catalogue", "offsite", ["database"])["manifests"][-1]["id"]
    vault.call("prune", "offsite", "database", [link])
    assert not [key for key in bucket.names() if link in key]
    assert [each["id"] for each in vault.call("catalogue", "offsite", ["database"])["manifests"]] != [link]


def test_encrypted_before_it_leaves_the_server_and_back(vault: Vault, bucket: Bucket) -> None:
    write(vault, 2)
    rows = int(orders(vault))
    full = vault.call("take", "encrypted", "database", vault.next_id("full"), "postgresql")
    write(vault, 4)
    link = vault.call("take", "encrypted", "database", vault.next_id("incr"), "postgresql", mode="incr")
    assert link["previous"] == full["id"]
    keys = [key for key in bucket.names() if key.startswith("encrypted/")]
    assert f"encrypted/database/{full['id']}/manifest.json.bin" in keys
    for key in keys:
        content = bucket.client.get_object(Bucket="acme-backups", Key=key)["Body"].read()
        assert content.startswith(b"RCLONE\0\0"), key
    assert vault.call("verify", "encrypted", "database", full["id"])["problems"] == []
    chain = [full["id"], link["id"]]
    vault.call("restore", "encrypted", "database", chain, "postgresql", checks=counted(rows + 4))


def test_the_key_is_left_nowhere_on_the_server(vault: Vault, bucket: Bucket) -> None:
    """But in the pillar, which is a file of the server here; on a real one it comes from the master."""
    assert bucket.names()
    places = "/var/log /var/cache/salt /var/lib/saltlick /tmp /root/.config /root/.cache /etc/rclone.conf"
    assert vault.server.run(f"grep -rlF {KEY} {places} 2>/dev/null || true").strip() == ""


def test_a_bucket_that_does_not_answer(vault: Vault, bucket: Bucket) -> None:
    bucket.close()
    code, error = vault.attempt("take", "offsite", "database", vault.next_id("full"), "postgresql")
    assert code
    assert "connection refused" in error
    assert "s3cret" not in error
    seen, looked = vault.attempt("catalogue", "offsite", ["database"])
    assert seen
    assert "store offsite cannot be looked at" in looked
