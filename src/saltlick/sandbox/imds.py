"""The instance metadata service, version 2: who asks is known by the address the question comes from."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from saltlick.sandbox import metadata
from saltlick.sandbox.cloud import SandboxInstance

TOKEN_PATH = "/latest/api/token"  # noqa: S105
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105
LONGEST_TTL_S = 21_600
_VERSION = re.compile(r"latest|1\.0|\d{4}-\d\d-\d\d")
_VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")


@dataclass(frozen=True, kw_only=True)
class MetadataReply:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND = MetadataReply(status=404, body=b"Not Found\n")
UNAUTHORIZED = MetadataReply(status=401, body=b"Unauthorized\n")


class MetadataService:
    """Answers requests. `who` finds the instance by source address; `credentials` gives those of its role."""

    def __init__(
        self,
        who: Callable[[str], SandboxInstance | None],
        credentials: Callable[[SandboxInstance], Mapping[str, str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._who, self._credentials, self._clock = who, credentials, clock
        self._tokens: dict[str, tuple[str, float]] = {}

    def reply(self, method: str, source: str, path: str, headers: Mapping[str, str]) -> MetadataReply:
        instance = self._who(source)
        if instance is None:
            return NOT_FOUND
        if path == TOKEN_PATH:
            return self._token(method, instance, headers)
        if method not in ("GET", "HEAD"):
            return MetadataReply(status=405)
        owner, expires = self._tokens.get(headers.get(TOKEN_HEADER, ""), ("", 0.0))
        if owner != instance.id or self._clock() >= expires:
            return UNAUTHORIZED
        body = self._content(instance, path)
        return NOT_FOUND if body is None else MetadataReply(status=200, body=body)

    def _token(self, method: str, instance: SandboxInstance, headers: Mapping[str, str]) -> MetadataReply:
        ttl = headers.get(TTL_HEADER, "")
        if method != "PUT":
            return MetadataReply(status=405)
        if not ttl.isdigit() or not 1 <= int(ttl) <= LONGEST_TTL_S:
            return MetadataReply(status=400, body=b"Bad Request\n")
        if "X-Forwarded-For" in headers:
            return MetadataReply(status=403)
        token = secrets.token_urlsafe(40)
        self._tokens = {t: known for t, known in self._tokens.items() if known[1] > self._clock()}
        self._tokens[token] = (instance.id, self._clock() + int(ttl))
        return MetadataReply(status=200, body=token.encode(), headers={TTL_HEADER: ttl})

    def _content(self, instance: SandboxInstance, path: str) -> bytes | None:
        version, _, rest = path.strip("/").partition("/")
        if not version:
            return "\n".join(_VERSIONS).encode()
        if not _VERSION.fullmatch(version):
            return None
        area, _, below = rest.partition("/")
        if area == "user-data" and not below:
            return instance.user_data
        if area == "meta-data":
            content = metadata.look_up(metadata.tree(instance, self._credentials), below)
        elif area == "dynamic":
            documents: metadata.Tree = {"instance-identity": {"document": metadata.identity(instance)}}
            content = metadata.look_up(documents, below)
        else:
            content = "dynamic\nmeta-data\nuser-data" if not area else None
        return None if content is None else content.encode()


class RoleCredentials:
    """Temporary credentials of an instance's role, from moto's own STS so that GetCallerIdentity knows them."""

    def __init__(self, assume: Callable[[SandboxInstance, int], Mapping[str, str]], lifetime_s: int = 6 * 3600) -> None:
        self._assume, self._lifetime_s = assume, lifetime_s
        self._cache: dict[tuple[str, str], tuple[datetime, Mapping[str, str]]] = {}

    def __call__(self, instance: SandboxInstance) -> Mapping[str, str]:
        now = datetime.now(timezone.utc)
        key = (instance.id, instance.role_arn or "")
        expires, keys = self._cache.get(key, (now, {}))
        if expires - now < timedelta(minutes=10):
            expires, keys = now + timedelta(seconds=self._lifetime_s), self._assume(instance, self._lifetime_s)
            self._cache[key] = (expires, keys)
        return {
            "Code": "Success",
            "LastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Type": "AWS-HMAC",
            **keys,
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def assume_with_moto(instance: SandboxInstance, lifetime_s: int) -> Mapping[str, str]:
    """What sts:AssumeRole would give the instance."""
    from moto.sts.models import sts_backends

    role = sts_backends[instance.account]["aws"].assume_role(
        region_name=instance.region,
        role_session_name=instance.id,
        role_arn=instance.role_arn or "",
        policy="",
        duration=lifetime_s,
        external_id="",
    )
    return {"AccessKeyId": role.access_key_id, "SecretAccessKey": role.secret_access_key, "Token": role.session_token}
