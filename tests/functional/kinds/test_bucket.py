"""Buckets: names are global, what is in one outlives its environment, and what others configured stays."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from saltlick.errors import AwsError, AwsUnclear
from saltlick.kinds import KINDS

from .conftest import CutOff
from .estate import BY_ADDRESS
from .world import World, having

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.aws import AwsCloud

BUCKET = BY_ADDRESS["bucket/backups"]
NAME = "acme-backups"


class Refusing:
    """A cloud that answers one operation with an error of AWS, so many times."""

    def __init__(self, cloud: Any, operation: str, code: str, times: int = 10**6) -> None:
        self._cloud, self._operation, self._code, self._times = cloud, operation, code, times
        self.region, self.clock = cloud.region, cloud.clock

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        if operation == self._operation and self._times:
            self._times -= 1
            raise AwsError(operation, self._code, "as AWS says it")
        return self._cloud.call(service, operation, **parameters)

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        if operation == self._operation:
            raise AwsError(operation, self._code, "as AWS says it")
        return self._cloud.reading().read(service, operation, key, **parameters)

    def reading(self) -> Refusing:
        return self

    def patient(self, deadline_s: float) -> Refusing:
        del deadline_s
        return self


def test_a_new_one_is_versioned_encrypted_closed_and_has_its_lifecycle(world: World, cloud: AwsCloud) -> None:
    world.make(BUCKET)
    assert cloud.call("s3", "get_bucket_versioning", Bucket=NAME)["Status"] == "Enabled"
    (encryption,) = cloud.call("s3", "get_bucket_encryption", Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    block = cloud.call("s3", "get_public_access_block", Bucket=NAME)["PublicAccessBlockConfiguration"]
    assert len(block) == 4
    assert all(block.values())
    (rule,) = cloud.call("s3", "get_bucket_lifecycle_configuration", Bucket=NAME)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rule["Expiration"] == {"ExpiredObjectDeleteMarker": True}


def test_outside_us_east_1_it_is_made_in_its_region(world: World) -> None:
    sydney = having(BUCKET, bucket_name="acme-sydney", region="ap-southeast-2")
    world.make(sydney)
    assert world.require(sydney).properties["region"] == "ap-southeast-2"
    assert world.differences(sydney) == ()


def test_kms_has_its_key_and_asks_for_it_once_for_many_objects(world: World, cloud: AwsCloud) -> None:
    secret = having(BUCKET, encryption="aws:kms", key_id="alias/backups")
    world.make(secret)
    assert world.differences(secret) == ()
    (rule,) = cloud.call("s3", "get_bucket_encryption", Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["BucketKeyEnabled"] is True


def test_what_others_changed_by_hand_is_drift_and_goes_back(world: World, cloud: AwsCloud) -> None:
    world.make(BUCKET)
    cloud.call("s3", "delete_public_access_block", Bucket=NAME)
    cloud.call("s3", "put_bucket_versioning", Bucket=NAME, VersioningConfiguration={"Status": "Suspended"})
    cloud.call("s3", "delete_bucket_lifecycle", Bucket=NAME)
    cloud.call("s3", "delete_bucket_encryption", Bucket=NAME)
    changed = {change.field for change in world.differences(BUCKET)}
    assert changed == {"block_public", "versioning", "abort_days", "noncurrent_days", "encryption"}
    world.update(BUCKET)
    assert world.differences(BUCKET) == ()


def test_a_disabled_rule_and_a_half_open_block_are_drift(world: World, cloud: AwsCloud) -> None:
    world.make(BUCKET)
    (rule,) = cloud.call("s3", "get_bucket_lifecycle_configuration", Bucket=NAME)["Rules"]
    disabled = {"Rules": [{**rule, "Status": "Disabled"}]}
    cloud.call("s3", "put_bucket_lifecycle_configuration", Bucket=NAME, LifecycleConfiguration=disabled)
    block = cloud.call("s3", "get_public_access_block", Bucket=NAME)["PublicAccessBlockConfiguration"]
    half_open = {**block, "RestrictPublicBuckets": False}
    cloud.call("s3", "put_public_access_block", Bucket=NAME, PublicAccessBlockConfiguration=half_open)
    assert {change.field for change in world.differences(BUCKET)} == {"block_public", "abort_days", "noncurrent_days"}


def test_lifecycle_rules_of_others_stay(world: World, cloud: AwsCloud) -> None:
    world.make(BUCKET)
    (ours,) = cloud.call("s3", "get_bucket_lifecycle_configuration", Bucket=NAME)["Rules"]
    theirs = {"ID": "cold", "Status": "Enabled", "Filter": {"Prefix": "old/"}, "Expiration": {"Days": 900}}
    both = {"Rules": [ours, theirs]}
    cloud.call("s3", "put_bucket_lifecycle_configuration", Bucket=NAME, LifecycleConfiguration=both)
    world.update(having(BUCKET, noncurrent_days=90))
    rules = cloud.call("s3", "get_bucket_lifecycle_configuration", Bucket=NAME)["Rules"]
    assert {rule["ID"] for rule in rules} == {"cold", "saltlick"}
    assert world.differences(having(BUCKET, noncurrent_days=90)) == ()


def test_a_name_that_another_account_has_is_one_message(world: World, cloud: AwsCloud) -> None:
    credentials = cloud.call(
        "sts", "assume_role", RoleArn="arn:aws:iam::111111111111:role/other", RoleSessionName="other"
    )["Credentials"]
    other = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    other.create_bucket(Bucket=NAME)
    refusing = Refusing(cloud, "get_bucket_tagging", "NoSuchBucket")  # moto shows buckets of all accounts
    with pytest.raises(AwsError, match=f"bucket {NAME} belongs to another account: bucket names are global") as taken:
        world.make(BUCKET, cloud=refusing)
    assert taken.value.code == "BucketAlreadyExists"
    assert other.list_buckets()["Buckets"][0]["Name"] == NAME


def test_a_name_that_another_account_has_is_seen_before_anything_is_touched(world: World, cloud: AwsCloud) -> None:
    looking = World(Refusing(cloud, "get_bucket_tagging", "AccessDenied"), [BUCKET])
    with pytest.raises(AwsError, match="belongs to another account: bucket names are global"):
        looking.see(BUCKET)


@pytest.mark.parametrize("in_use", ["tagged", "versioned", "with an object"])
def test_a_bucket_of_this_account_that_is_not_ours_is_left_alone(world: World, cloud: AwsCloud, in_use: str) -> None:
    cloud.call("s3", "create_bucket", Bucket=NAME)
    if in_use == "tagged":
        tagging = {"TagSet": [{"Key": "saltlick:environment", "Value": "other"}]}
        cloud.call("s3", "put_bucket_tagging", Bucket=NAME, Tagging=tagging)
    elif in_use == "versioned":
        cloud.call("s3", "put_bucket_versioning", Bucket=NAME, VersioningConfiguration={"Status": "Enabled"})
    else:
        cloud.call("s3", "put_object", Bucket=NAME, Key="theirs", Body=b"x")
    assert world.see(BUCKET) is None
    with pytest.raises(AwsError, match="exists in this account and is not this resource's"):
        world.make(BUCKET)
    with pytest.raises(AwsError, match="NoSuchPublicAccessBlockConfiguration"):
        cloud.call("s3", "get_public_access_block", Bucket=NAME)


def test_one_that_was_cut_off_before_its_tags_is_taken_over(world: World, cloud: AwsCloud) -> None:
    with pytest.raises(AwsUnclear):
        world.make(BUCKET, cloud=CutOff(cloud, "put_bucket_tagging"))
    assert world.see(BUCKET) is None
    world.make(BUCKET)
    assert world.differences(BUCKET) == ()


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("create_bucket", "OperationAborted"),
        ("put_bucket_tagging", "NoSuchBucket"),
        ("put_bucket_versioning", "OperationAborted"),
        ("put_bucket_lifecycle_configuration", "NoSuchBucket"),
    ],
)
def test_a_bucket_that_s3_does_not_know_everywhere_yet_is_waited_for(
    world: World, cloud: AwsCloud, operation: str, code: str
) -> None:
    world.make(BUCKET, cloud=Refusing(cloud, operation, code, times=2))
    assert world.differences(BUCKET) == ()


@pytest.mark.parametrize("held", ["object", "noncurrent version"])
def test_what_holds_anything_stays_and_says_so(world: World, cloud: AwsCloud, held: str) -> None:
    world.make(BUCKET)
    cloud.call("s3", "put_object", Bucket=NAME, Key="prod/a", Body=b"x")
    if held == "noncurrent version":
        cloud.call("s3", "delete_object", Bucket=NAME, Key="prod/a")
    observed = world.require(BUCKET)
    reason = KINDS["bucket"].holds(cloud, observed)
    assert f"bucket {NAME} is not empty, and backups outlive their environment" in reason
    refusing = cloud if held == "object" else Refusing(cloud, "delete_bucket", "BucketNotEmpty")
    with pytest.raises(AwsError, match="backups outlive their environment") as refused:
        KINDS["bucket"].destroy(refusing, observed, 30)
    assert refused.value.code == "BucketNotEmpty"
    assert world.require(BUCKET) == observed


def test_an_empty_one_holds_nothing(world: World, cloud: AwsCloud) -> None:
    world.make(BUCKET)
    assert KINDS["bucket"].holds(cloud, world.require(BUCKET)) == ""


def test_one_that_is_no_longer_wanted_is_found_by_its_tags(world: World) -> None:
    world.make(BUCKET)
    assert [found.id for found in world.see_all("bucket", wanted={})] == [NAME]
    other = dataclasses.replace(BUCKET, environment="test")
    assert world.see_all("bucket", "test", wanted={other.key: other}) == []
