"""boto3 clients: one session, one client per service, made when first needed and shared by all threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from botocore.model import OperationModel

AWS_DOMAIN = ".amazonaws.com"
AWS_DOMAINS = (AWS_DOMAIN, ".amazonaws.com.cn", ".api.aws")
CONNECTIONS = 64
"""As many as the engine has calls in flight, so that no call waits for a connection."""


class ClientSource(Protocol):
    """Where a `Sender` gets its clients from."""

    region: str

    def of(self, service: str) -> Any: ...

    def paging(self, service: str, operation: str) -> tuple[dict[str, Any], OperationModel] | None: ...


class Clients:
    """boto3's low-level clients of one region, boto's own retries off: a repeated create makes a duplicate."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._lock = threading.Lock()
        self._core: Any = None
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def of(self, service: str) -> Any:
        """The client of a service (`ec2`). Sessions are not thread-safe, clients are: they are made under a lock."""
        client = self._clients.get(service)
        if client is None:
            with self._lock:
                client = self._clients.get(service) or self._make(service)
                self._clients[service] = client
        return client

    @property
    def emulated(self) -> bool:
        """Whether EC2 is another API than AWS's own: moto, the sandbox. Asks nobody."""
        host = urlsplit(self.of("ec2").meta.endpoint_url).hostname or ""
        return not host.endswith(AWS_DOMAINS)

    def paging(self, service: str, operation: str) -> tuple[dict[str, Any], OperationModel] | None:
        """botocore's paging rules for an operation, or None when it always answers whole."""
        client = self.of(service)
        if not client.can_paginate(operation):
            return None
        name = client.meta.method_to_api_mapping[operation]
        rules = self._core.get_paginator_model(service).get_paginator(name)
        return rules, client.meta.service_model.operation_model(name)

    def _make(self, service: str) -> Any:
        from botocore.config import Config

        if self._session is None:
            import boto3.session
            import botocore.session

            self._core = botocore.session.get_session()
            self._session = boto3.session.Session(botocore_session=self._core, region_name=self.region)
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=CONNECTIONS,
            connect_timeout=5,
            read_timeout=60,
            tcp_keepalive=True,
            user_agent_extra="saltlick",
        )
        client = self._session.client(service, config=config)
        if service == "s3" and AWS_DOMAIN not in client.meta.endpoint_url:
            # Other services that speak S3 have no host name for each bucket.
            config = config.merge(Config(s3={"addressing_style": "path"}))
            return self._session.client(service, config=config)
        return client
