"""How a bucket's encryption and its lifecycle look in S3's answers and requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltlick.kinds import tags

RULE = "saltlick"
"""The lifecycle rule that is ours; rules of others stay."""


def encryption(found: tuple[tags.Item, ...]) -> dict[str, Any]:
    """The fields `encryption` and `key_id` of an answer of GetBucketEncryption; empty where there is none."""
    rules = [rule for configuration in found for rule in configuration.get("Rules", ())]
    default: tags.Item = next((rule["ApplyServerSideEncryptionByDefault"] for rule in rules), {})
    return {"encryption": default.get("SSEAlgorithm", ""), "key_id": default.get("KMSMasterKeyID", "")}


def lifecycle(rules: tuple[tags.Item, ...]) -> dict[str, Any]:
    """The fields `abort_days` and `noncurrent_days` of our rule among a bucket's; 0 where it is not there or disabled."""
    rule = next((rule for rule in rules if rule.get("ID") == RULE and rule.get("Status") == "Enabled"), {})
    return {
        "abort_days": rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 0),
        "noncurrent_days": rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 0),
    }


def wanted_encryption(encryption: str, key_id: str) -> Mapping[str, Any]:
    """`ServerSideEncryptionConfiguration`, as PutBucketEncryption takes it."""
    default = {"SSEAlgorithm": encryption}
    if key_id:
        default["KMSMasterKeyID"] = key_id
    # A bucket key saves almost all calls of KMS; S3's own encryption has none.
    return {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": default,
                "BucketKeyEnabled": encryption == "aws:kms",
            }
        ]
    }


def wanted_rule(abort_days: int, noncurrent_days: int) -> Mapping[str, Any]:
    """Our lifecycle rule, as PutBucketLifecycleConfiguration takes it."""
    return {
        "ID": RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": abort_days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": noncurrent_days},
        # A delete marker without versions behind it is nothing but a name.
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }
