"""botocore's exceptions into ours, by code and type, never by text."""

from __future__ import annotations

from botocore import exceptions as boto

from saltlick.errors import AwsError, AwsThrottled, AwsUnclear

THROTTLES = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "EC2ThrottledException",
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "SlowDown",
    }
)

NEVER_SENT = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)
"""No connection was made, so AWS has changed nothing: every call is safe to repeat."""

CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.TokenRetrievalError,
    boto.SSOError,
)


class NeverSent(AwsUnclear):
    """There was no way to reach AWS at all; the call was not carried out."""


def translate(operation: str, error: boto.ClientError | boto.BotoCoreError) -> AwsError:
    """The error of ours that says what the caller can do about it.

    Source: "Error codes for the Amazon EC2 API" (server errors are 5xx; RequestLimitExceeded and Insufficient…Capacity
    come as 5xx too, but are plain refusals).
    """
    if isinstance(error, boto.ClientError):
        return _refused(operation, error)
    if isinstance(error, NEVER_SENT):
        return NeverSent(operation, type(error).__name__, str(error))
    if isinstance(error, CREDENTIALS):
        hint = f"{error}; credentials come from boto3's usual places: environment, profile, container or instance role"
        return AwsError(operation, type(error).__name__, hint)
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError)):
        return AwsUnclear(operation, type(error).__name__, str(error))
    return AwsError(operation, type(error).__name__, str(error))


def _refused(operation: str, error: boto.ClientError) -> AwsError:
    answer = error.response
    error_details, meta = answer.get("Error", {}), answer.get("ResponseMetadata", {})
    code, status = str(error_details.get("Code", "Unknown")), int(meta.get("HTTPStatusCode", 0))
    details = (operation, code, str(error_details.get("Message", "")), str(meta.get("RequestId", "")))
    if code in THROTTLES or status == 429:
        return AwsThrottled(*details)
    if status >= 500 and not code.startswith("Insufficient"):
        return AwsUnclear(*details)
    return AwsError(*details)
