"""Buckets as the pillar has them, and what the servers of a group may do in one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from saltlick.schema.fields import Model, form

BucketName = Annotated[
    StrictStr,
    form(
        r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
        "the name of a bucket: 3 to 63 lower-case letters, digits and hyphens, neither beginning nor ending with a hyphen",
    ),
]
"""Source: S3 User Guide, "General purpose bucket naming rules". Without dots: with one, the certificate of S3 does not fit."""
Prefix = Annotated[
    StrictStr,
    form(
        r"([A-Za-z0-9!_.'()-]+(/[A-Za-z0-9!_.'()-]+)*)?",
        "a folder in a bucket (write it like prod, or backups/prod, without a slash at either end)",
    ),
]
KeyArn = Annotated[
    StrictStr,
    form(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+", "the ARN of a key of KMS (not of an alias)"),
]
Days = Annotated[StrictInt, Field(ge=1, le=3650)]


class BucketSpec(Model):
    """A bucket of S3: encrypted, versioned, closed to the public. It outlives its environment as long as anything is in it."""

    name: BucketName = Field(description="Its name, unique among all accounts of AWS.")
    encryption: Literal["AES256", "aws:kms"] = Field("AES256", description="`AES256` (S3's key) or `aws:kms`.")
    key_id: StrictStr = Field("", description="Key of KMS, for `aws:kms`; left out: the account's own.")
    noncurrent_days: Days = Field(
        30,
        description="What was overwritten or deleted can be brought back for so many days, by nobody but an administrator.",
    )
    abort_days: Days = Field(7, description="Uploads in parts that nobody finished are removed after so many days.")
    protected: StrictBool = Field(False, description="Refuse to destroy it even when it is empty.")

    @model_validator(mode="after")
    def _key(self) -> BucketSpec:
        if self.key_id and self.encryption != "aws:kms":
            raise ValueError("`key_id` goes with `encryption: aws:kms`")
        return self


class BucketAccess(Model):
    """What the servers of a group may do in a bucket. No server may delete a version, or change the bucket."""

    prefix: Prefix = Field("", description="The only folder that they see. Left out: the whole bucket.")
    access: Literal["write", "read"] = Field(
        "write",
        description="`write`: list, fetch, store, and delete, which leaves a noncurrent version; `read`: list and fetch.",
    )
    kms_key: KeyArn | None = Field(None, description="ARN of the key of a bucket with `encryption: aws:kms`.")
