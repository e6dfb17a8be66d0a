"""Buckets, and what a group's role may do in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.engine.resource import Resource
from saltlick.environment.pillar.buckets import BucketAccess
from saltlick.environment.pillar.expand.draft import Draft
from saltlick.environment.pillar.model import Environment

IN_OBJECTS = {
    "read": ("s3:GetObject",),
    "write": (
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    ),
}
"""`s3:DeleteObject` leaves a delete marker in a versioned bucket; only `s3:DeleteObjectVersion` would delete for good."""
WITH_KEY = {"read": ("kms:Decrypt",), "write": ("kms:Decrypt", "kms:GenerateDataKey")}
"""Source: S3 User Guide, "Using server-side encryption with AWS KMS keys": an upload in parts needs kms:Decrypt, too."""


def resources(environment: Environment) -> Iterator[Resource]:
    """One resource per bucket."""
    draft = Draft(environment)
    for name, bucket in environment.buckets.items():
        yield draft(
            "bucket",
            name,
            bucket.name,
            protected=bucket.protected,
            bucket_name=bucket.name,
            region=environment.region,
            encryption=bucket.encryption,
            key_id=bucket.key_id,
            noncurrent_days=bucket.noncurrent_days,
            abort_days=bucket.abort_days,
        )


def statements(region: str, buckets: Mapping[str, BucketAccess]) -> list[dict[str, Any]]:
    """What a role may do in these buckets, as statements of an IAM policy."""
    return [statement for name, granted in buckets.items() for statement in _statements(region, name, granted)]


def _statements(region: str, name: str, granted: BucketAccess) -> Iterator[dict[str, Any]]:
    arn = f"arn:{partition(region)}:s3:::{name}"
    folder = f"{granted.prefix}/" if granted.prefix else ""
    listed: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": arn}
    if folder:
        listed["Condition"] = {"StringLike": {"s3:prefix": [granted.prefix, f"{folder}*"]}}
    yield listed
    yield {"Effect": "Allow", "Action": list(IN_OBJECTS[granted.access]), "Resource": f"{arn}/{folder}*"}
    if granted.kms_key:
        yield {"Effect": "Allow", "Action": list(WITH_KEY[granted.access]), "Resource": granted.kms_key}


def partition(region: str) -> str:
    """The part of AWS a region belongs to, as ARNs have it."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
