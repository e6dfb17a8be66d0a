"""A load balancer as an HAProxy: its configuration, and what its statistics say about the targets. Pure.

A target that is not known to be healthy has weight 0: HAProxy checks it and sends it nothing, as an ALB does with a
target that is `initial`, `unhealthy` or `draining`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from saltlick.sandbox.cloud import SandboxBalancer, SandboxListener, SandboxTarget, SandboxTargetGroup

HTTP = frozenset({"HTTP", "HTTPS"})


@dataclass(frozen=True, kw_only=True)
class BackendHealth:
    """A target's state in the words of DescribeTargetHealth."""

    state: str
    reason: str = ""
    description: str = ""

    @classmethod
    def not_registered(cls) -> BackendHealth:
        return cls(
            state="unused", reason="Target.NotRegistered", description="Target is not registered to the target group"
        )


HEALTHY = BackendHealth(state="healthy")
INITIAL = BackendHealth(
    state="initial", reason="Elb.InitialHealthChecking", description="Initial health checks in progress"
)
DRAINING = BackendHealth(
    state="draining", reason="Target.DeregistrationInProgress", description="Target deregistration is in progress"
)
NOT_IN_USE = BackendHealth(
    state="unused",
    reason="Target.NotInUse",
    description="Target group is not configured to receive traffic from the load balancer",
)
STOPPED = BackendHealth(state="unused", reason="Target.InvalidState", description="Target is in the stopped state")


@dataclass(frozen=True, kw_only=True)
class BackendServer:
    """A target with the address it is reached at. `health` as last known."""

    target: SandboxTarget
    address: str
    health: BackendHealth


@dataclass(frozen=True, kw_only=True)
class BackendCheck:
    """One line of HAProxy's statistics about a server."""

    checked: bool
    up: bool
    status: str
    code: str
    weight: int
    sessions: int
    maintained: bool = False

    @property
    def drained(self) -> bool:
        """Whether it gets no request any more and has answered the last one."""
        return self.weight == 0 and self.sessions == 0


def backend(group: SandboxTargetGroup) -> str:
    return group.arn.rsplit("/", 1)[-1]


def server_name(target: SandboxTarget) -> str:
    return f"{target.id}_{target.port}"


def weight(health: BackendHealth) -> int:
    return 100 if health.state == "healthy" else 0


def render(
    balancer: SandboxBalancer,
    groups: Mapping[str, SandboxTargetGroup],
    servers: Mapping[str, tuple[BackendServer, ...]],
) -> str:
    """The whole haproxy.cfg. `groups` by ARN; `servers` by the group's ARN."""
    used = sorted({x.target_group for x in balancer.listeners if x.target_group in groups} - {None}, key=str)
    parts = [_GLOBAL, *(_frontend(listener, groups) for listener in balancer.listeners)]
    parts += [_backend(groups[str(arn)], servers.get(str(arn), ())) for arn in used]
    return "\n".join(parts)


_GLOBAL = """\
global
    stats socket /run/balancer/stats.sock mode 600 level admin expose-fd listeners
    hard-stop-after 300s
    maxconn 4000
defaults
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    option redispatch
    retries 3
frontend none
    mode http
    bind unix@/run/balancer/none.sock
"""

_ALB = """\
    mode http
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Port %[dst_port]
    unique-id-format Root=1-%{+X}Ts-%[rand(4294967295),hex]%[rand(4294967295),hex]%[rand(4294967295),hex]
    http-request set-header X-Amzn-Trace-Id %[unique-id] unless { req.hdr(X-Amzn-Trace-Id) -m found }
"""


def _frontend(listener: SandboxListener, groups: Mapping[str, SandboxTargetGroup]) -> str:
    group = groups.get(listener.target_group or "")
    mode = _ALB if listener.protocol in HTTP else "    mode tcp\n"
    target = f"    default_backend {backend(group)}\n" if group else ""
    return f"frontend port-{listener.port}\n    bind *:{listener.port}\n{mode}{target}"


def _backend(group: SandboxTargetGroup, servers: Iterable[BackendServer]) -> str:
    lines = [
        f"backend {backend(group)}",
        f"    mode {'http' if group.protocol in HTTP else 'tcp'}",
        "    balance roundrobin",
    ]
    if group.check_protocol in HTTP:
        lines.append("    option httpchk")
        headers = "hdr Host target hdr User-Agent ELB-HealthChecker/2.0"
        lines.append(f"    http-check send meth GET uri {group.check_path} ver HTTP/1.1 {headers}")
        lines.append(f"    http-check expect status {group.check_codes}")
    lines.append(f"    timeout check {group.timeout_s}s")
    lines += [f"    server {server_name(server.target)} {server_options(group, server)}" for server in servers]
    return "\n".join([*lines, ""])


def server_options(group: SandboxTargetGroup, server: BackendServer) -> str:
    """Address, check and weight of a server, for the file and for the runtime socket."""
    port = "" if group.check_port == "traffic-port" else f" port {group.check_port}"
    check = f"check{port} inter {group.interval_s}s fastinter {group.interval_s}s rise {group.rise} fall {group.fall}"
    return f"{server.address}:{server.target.port} {check} weight {weight(server.health)}"


def parse_statistics(text: str) -> dict[tuple[str, str], BackendCheck]:
    """`show stat` by (backend, server)."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
    return {(r["pxname"], r["svname"]): _check(r) for r in rows if r["svname"] not in ("FRONTEND", "BACKEND")}


def _check(row: Mapping[str, str]) -> BackendCheck:
    status = row["check_status"].removeprefix("* ")
    return BackendCheck(
        checked=status not in ("", "INI", "UNK"),
        up=status.endswith(("OK", "OKC")) and int(row["check_health"] or 0) >= int(row["check_rise"] or 1),
        status=status,
        code=row["check_code"],
        weight=int(row["weight"] or 0),
        sessions=int(row["scur"] or 0),
        maintained=row["status"].startswith("MAINT"),
    )


def judge(previous: BackendHealth, check: BackendCheck | None) -> BackendHealth:
    """A registered target's health after looking at HAProxy; while it has not checked yet, what was known before."""
    if check is None or not check.checked:
        return previous
    if check.up:
        return HEALTHY
    if check.status == "L7STS":
        return BackendHealth(
            state="unhealthy",
            reason="Target.ResponseCodeMismatch",
            description=f"Health checks failed with these codes: [{check.code}]",
        )
    if check.status.endswith("TOUT"):
        return BackendHealth(state="unhealthy", reason="Target.Timeout", description="Request timed out")
    return BackendHealth(state="unhealthy", reason="Target.FailedHealthChecks", description="Health checks failed")
