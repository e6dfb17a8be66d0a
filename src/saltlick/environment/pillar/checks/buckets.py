"""Buckets: each name once."""

from __future__ import annotations

from collections.abc import Iterator

from saltlick.environment.pillar.checks.findings import PillarFinding, at
from saltlick.environment.pillar.model import Environment


def findings(environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong with the buckets by themselves, and with what server groups may do in them."""
    owners: dict[str, str] = {}
    for name, bucket in environment.buckets.items():
        if bucket.name in owners:
            yield at("buckets", name, "name", message=f"{bucket.name} is the name of bucket {owners[bucket.name]} too")
        owners.setdefault(bucket.name, name)
    for group, spec in environment.servers.items():
        for bucket_name, granted in spec.buckets.items():
            own = environment.buckets.get(owners.get(bucket_name, ""))
            if own and granted.kms_key and own.encryption != "aws:kms":
                message = f"bucket {owners[bucket_name]} is encrypted with S3's own key, not with one of KMS"
                yield at("servers", group, "buckets", bucket_name, "kms_key", message=message)
            if own and own.key_id and not granted.kms_key:
                message = f"bucket {owners[bucket_name]} is encrypted with {own.key_id}: give its ARN as kms_key"
                yield at("servers", group, "buckets", bucket_name, message=message)
