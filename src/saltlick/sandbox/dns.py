"""The resolver that instances ask at 169.254.169.253: AWS's own names answered here, the rest forwarded upstream."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSServer

from saltlick.sandbox.settings import AWS_HOST, GIT_HOST, INTERNAL_ADDRESS, METADATA_ADDRESS

_PRIVATE = re.compile(r"ip-(\d+)-(\d+)-(\d+)-(\d+)\.(ec2|[a-z0-9-]+\.compute)\.internal")
_OURS = (".saltlick.internal", ".elb.amazonaws.com")
_FIXED = {AWS_HOST: INTERNAL_ADDRESS, GIT_HOST: INTERNAL_ADDRESS, "instance-data.ec2.internal": METADATA_ADDRESS}


def resolve(name: str, balancers: Mapping[str, str]) -> str | None:
    """The address of one of AWS's names, or None. `balancers` maps DNS names of load balancers to addresses."""
    name = name.rstrip(".").lower()
    if match := _PRIVATE.fullmatch(name):
        return ".".join(match.groups()[:4])
    return _FIXED.get(name) or balancers.get(name)


def ours(name: str) -> bool:
    """Whether this resolver is authoritative for `name`."""
    name = name.rstrip(".").lower()
    return name in _FIXED or name.endswith(_OURS) or bool(_PRIVATE.fullmatch(name))


class Resolver(BaseResolver):  # type: ignore[misc]
    """`balancers` is called for each query; `allowed` decides whether a source address may query."""

    def __init__(
        self, balancers: Callable[[], Mapping[str, str]], allowed: Callable[[str], bool], upstream: str
    ) -> None:
        self._balancers, self._allowed, self._upstream = balancers, allowed, upstream

    def resolve(self, request: Any, handler: Any) -> Any:
        question, reply = request.q, request.reply()
        name = str(question.qname)
        if not self._allowed(handler.client_address[0]):
            reply.header.rcode = RCODE.REFUSED
        elif ours(name):
            address = resolve(name, self._balancers())
            if address is None:
                reply.header.rcode = RCODE.NXDOMAIN
            elif QTYPE[question.qtype] in ("A", "ANY"):
                reply.add_answer(RR(question.qname, QTYPE.A, rdata=A(address), ttl=5))
        else:
            return self._forward(request, handler.protocol == "tcp")
        return reply

    def _forward(self, request: Any, tcp: bool) -> Any:
        try:
            return DNSRecord.parse(request.send(self._upstream, 53, tcp=tcp, timeout=5))
        except (TimeoutError, OSError):
            reply = request.reply()
            reply.header.rcode = RCODE.SERVFAIL
            return reply


def servers(resolver: Resolver, port: int) -> list[Any]:
    """A UDP and a TCP server on all addresses; the resolver itself refuses other sources."""
    return [DNSServer(resolver, port=port, address="0.0.0.0", tcp=tcp, logger=_Quiet()) for tcp in (False, True)]  # noqa: S104


class _Quiet:
    """dnslib calls a method of its logger at every step; none of them says anything here."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args: None


def upstream() -> str:
    """The host's first resolver."""
    for line in Path("/etc/resolv.conf").read_text().splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and ":" not in words[1]:
            return words[1]
    return "1.1.1.1"
