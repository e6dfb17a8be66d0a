"""A bucket of S3 for backups: versioned, encrypted, closed to the public, with a lifecycle for what nobody needs any more.

Bucket names are global: they are unique among all accounts of AWS. A bucket of this account that has the wanted name and is not
tagged as ours stays untouched. Making a bucket takes several calls. One that was cut off right after the first is empty, without
tags and was never versioned: create takes it over. One that was cut off later shows what is missing, and update writes it.

Wanted buckets are looked at by name; those that are no longer wanted are found by their tags. Saltlick never deletes what is in
a bucket, and its policy has no action that could.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from saltlick.engine.ports import Cloud, Reading
from saltlick.engine.resource import (
    TAG_ENVIRONMENT,
    Attributes,
    Key,
    Kind,
    Observed,
    Properties,
    Scope,
    Wanted,
    immutable,
    mutable,
)
from saltlick.errors import AwsError
from saltlick.kinds import bucket_settings, retry, tags

FIRST_REGION = "us-east-1"
OLD_NAMES = {"EU": "eu-west-1"}
"""Source: S3 GetBucketLocation, which gives nothing at all for us-east-1."""
UNSETTLED = frozenset({"NoSuchBucket", "OperationAborted"})
"""Answers about a bucket that was made or deleted a moment ago. Source: S3 User Guide, "Amazon S3 data consistency model"."""
ABSENT = frozenset(
    {
        "NoSuchTagSet",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
PUBLIC = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@dataclass(frozen=True, kw_only=True)
class BucketProperties(Properties):
    bucket_name: str = immutable("Its name, unique among all accounts of AWS.")
    region: str = immutable("Its region.")
    versioning: bool = mutable("Keep what is overwritten or deleted as a noncurrent version.", default=True)
    encryption: str = mutable("Default encryption: `AES256` (S3's key) or `aws:kms`.", default="AES256")
    key_id: str = mutable("Key of KMS, for `aws:kms`; empty: the account's own.", default="")
    block_public: bool = mutable("Refuse every ACL and policy that would open it to the public.", default=True)
    abort_days: int = mutable("Uploads in parts that nobody finished are removed after so many days.", default=7)
    noncurrent_days: int = mutable("Noncurrent versions are removed after so many days.", default=30)


class Bucket(Kind):
    """Source: S3 CreateBucket, PutBucketTagging, PutBucketVersioning, PutBucketEncryption, PutPublicAccessBlock,
    PutBucketLifecycleConfiguration, DeleteBucket; Resource Groups Tagging API GetResources."""

    name = "bucket"
    properties = BucketProperties
    attributes = frozenset({"id"})
    iam: ClassVar = {
        "observe": (
            "tag:GetResources",
            "s3:GetBucketTagging",
            "s3:GetBucketLocation",
            "s3:GetBucketVersioning",
            "s3:GetEncryptionConfiguration",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetLifecycleConfiguration",
        ),
        "create": (
            "s3:CreateBucket",
            "s3:PutBucketTagging",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutLifecycleConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:ListBucketVersions",
        ),
        "update": (
            "s3:PutBucketTagging",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutLifecycleConfiguration",
            "s3:GetLifecycleConfiguration",
        ),
        "destroy": ("s3:DeleteBucket", "s3:ListBucketVersions"),
    }

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for name in sorted(_names(reading, scope)):
            bucket = {"Name": name, "Tags": _tags(reading, name)}
            for key, object_tags, _ in tags.found((bucket,), scope, self.name):
                yield _observed(reading, key, name, object_tags)

    def create(self, cloud: Cloud, wanted: Wanted) -> Attributes:
        properties: BucketProperties = wanted.properties
        if not _half_made(cloud, properties.bucket_name):
            _make(cloud, properties, wanted.deadline_s)
        _put(cloud, wanted, "put_bucket_tagging", Tagging={"TagSet": tags.as_list(wanted.tags)})
        _configure(cloud, wanted, frozenset(CONFIGURED))
        return {"id": properties.bucket_name}

    def update(self, cloud: Cloud, wanted: Wanted, observed: Observed, fields: frozenset[str]) -> Attributes:
        if "tags" in fields:
            all_tags = {**(observed.tags or {}), **wanted.tags}
            _put(cloud, wanted, "put_bucket_tagging", Tagging={"TagSet": tags.as_list(all_tags)})
        _configure(cloud, wanted, fields)
        return observed.attributes

    def destroy(self, cloud: Cloud, observed: Observed, deadline_s: float) -> None:
        """Delete an empty bucket. AWS refuses one that holds anything, noncurrent versions included."""
        codes = frozenset({"OperationAborted"})
        try:
            retry.delete(
                cloud, deadline_s, "s3", "delete_bucket", codes=codes, gone=("NoSuchBucket",), Bucket=observed.id
            )
        except AwsError as error:
            if error.code != "BucketNotEmpty":
                raise
            raise AwsError("delete_bucket", error.code, _outlives(observed.id), error.request_id) from error

    def holds(self, cloud: Cloud, observed: Observed) -> str:
        """Why a bucket with anything in it stays: what is in it outlives its environment."""
        return "" if _empty(cloud, observed.id) else _outlives(observed.id)


def _outlives(name: str) -> str:
    return (
        f"bucket {name} is not empty, and backups outlive their environment; Saltlick never deletes what is in a bucket. "
        f"Keep it, or empty it yourself, all versions included"
    )


def _names(reading: Reading, scope: Scope) -> set[str]:
    wanted = {cast("BucketProperties", resource.properties).bucket_name for resource in scope.of_kind(Bucket.name)}
    tagged = reading.read(
        "resourcegroupstaggingapi",
        "get_resources",
        "ResourceTagMappingList",
        TagFilters=[{"Key": TAG_ENVIRONMENT, "Values": sorted(scope.environments)}],
        ResourceTypeFilters=["s3:bucket"],
    )
    return wanted | {item["ResourceARN"].rpartition(":")[2] for item in tagged}


def _read(reading: Reading, operation: str, answer_key: str, name: str) -> tuple[tags.Item, ...]:
    """One part of a bucket's configuration; nothing where there is none, or no bucket."""
    try:
        return reading.read("s3", operation, answer_key, Bucket=name)
    except AwsError as error:
        if error.code in ABSENT or error.code == "NoSuchBucket":
            return ()
        raise


def _only(items: tuple[tags.Item, ...]) -> tags.Item:
    return next(iter(items), {})


def _tags(reading: Reading, name: str) -> tuple[tags.Item, ...]:
    try:
        return _read(reading, "get_bucket_tagging", "TagSet", name)
    except AwsError as error:
        raise _denied(error, name) from error


def _denied(error: AwsError, name: str) -> AwsError:
    """AWS says AccessDenied of a bucket of another account, whatever we may do in this one."""
    if error.code not in ("AccessDenied", "403"):
        return error
    message = (
        f"bucket {name} belongs to another account: bucket names are global, so choose another one; "
        f"or, if it is this account's, these credentials may not read it"
    )
    return AwsError(error.operation, error.code, message, error.request_id)


def _observed(reading: Reading, key: Key, name: str, object_tags: dict[str, str]) -> Observed:
    location = _only(_read(reading, "get_bucket_location", "LocationConstraint", name))
    status = _only(_read(reading, "get_bucket_versioning", "Status", name))
    public = _only(_read(reading, "get_public_access_block", "PublicAccessBlockConfiguration", name))
    region = location.get("LocationConstraint", FIRST_REGION)
    return Observed(
        key=key,
        properties={
            "bucket_name": name,
            "region": OLD_NAMES.get(region, region),
            "versioning": status.get("Status") == "Enabled",
            "block_public": all(public.get(setting) for setting in PUBLIC),
            **bucket_settings.encryption(
                _read(reading, "get_bucket_encryption", "ServerSideEncryptionConfiguration", name)
            ),
            **bucket_settings.lifecycle(_read(reading, "get_bucket_lifecycle_configuration", "Rules", name)),
        },
        attributes={"id": name},
        tags=object_tags,
    )


def _half_made(cloud: Cloud, name: str) -> bool:
    """Whether the bucket is there as a create leaves it that died after its first call.

    In us-east-1, AWS answers a second CreateBucket as it answers the first, so the look comes before it.

    Raises: AwsError when the name is taken.
    """
    try:
        found = cloud.call("s3", "get_bucket_tagging", Bucket=name)["TagSet"]
    except AwsError as error:
        if error.code == "NoSuchBucket":
            return False
        if error.code != "NoSuchTagSet":
            raise _denied(error, name) from error
        found = []
    if found or cloud.call("s3", "get_bucket_versioning", Bucket=name).get("Status") or not _empty(cloud, name):
        message = (
            f"bucket {name} exists in this account and is not this resource's: choose another name, "
            f"or give it the tags of this resource by hand"
        )
        raise AwsError("create_bucket", "BucketAlreadyOwnedByYou", message)
    return True


def _make(cloud: Cloud, properties: BucketProperties, deadline_s: float) -> None:
    name, region = properties.bucket_name, properties.region
    where = {} if region == FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        retry.call_when_free(
            cloud, deadline_s, frozenset({"OperationAborted"}), "s3", "create_bucket", Bucket=name, **where
        )
    except AwsError as error:
        if error.code != "BucketAlreadyExists":
            raise
        message = f"bucket {name} belongs to another account: bucket names are global, so choose another one"
        raise AwsError("create_bucket", error.code, message, error.request_id) from error


def _empty(cloud: Cloud, name: str) -> bool:
    page = cloud.call("s3", "list_object_versions", Bucket=name, MaxKeys=1)
    return not (page.get("Versions") or page.get("DeleteMarkers"))


def _put(cloud: Cloud, wanted: Wanted, operation: str, **parameters: Any) -> None:
    name = wanted.properties.bucket_name
    retry.call_when_free(cloud, wanted.deadline_s, UNSETTLED, "s3", operation, Bucket=name, **parameters)


def _configure(cloud: Cloud, wanted: Wanted, fields: frozenset[str]) -> None:
    properties: BucketProperties = wanted.properties
    if "block_public" in fields:
        settings = dict.fromkeys(PUBLIC, properties.block_public)
        _put(cloud, wanted, "put_public_access_block", PublicAccessBlockConfiguration=settings)
    if fields & {"encryption", "key_id"}:
        _put(
            cloud,
            wanted,
            "put_bucket_encryption",
            ServerSideEncryptionConfiguration=bucket_settings.wanted_encryption(
                properties.encryption, properties.key_id
            ),
        )
    if "versioning" in fields:
        status = "Enabled" if properties.versioning else "Suspended"
        _put(cloud, wanted, "put_bucket_versioning", VersioningConfiguration={"Status": status})
    if fields & {"abort_days", "noncurrent_days"}:
        rules = [
            *_rules_of_others(cloud, properties.bucket_name),
            bucket_settings.wanted_rule(properties.abort_days, properties.noncurrent_days),
        ]
        _put(cloud, wanted, "put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": rules})


CONFIGURED = ("block_public", "encryption", "versioning", "abort_days")


def _rules_of_others(cloud: Cloud, name: str) -> list[Mapping[str, Any]]:
    try:
        found = cloud.call("s3", "get_bucket_lifecycle_configuration", Bucket=name)
    except AwsError as error:
        if error.code in ("NoSuchLifecycleConfiguration", "NoSuchBucket"):
            return []
        raise
    return [rule for rule in found.get("Rules", ()) if rule.get("ID") != bucket_settings.RULE]
