"""The smoke check: every server behind a load balancer is healthy, and its page answers several requests in a row.

Server health is the balancer's (DescribeTargetHealth): a page alone would also answer with one healthy server of ten.
A page is healthy when it answers 2xx or 3xx. An application that answers JSON with `server` and `revision` (as the one in
`examples/app` does) is shown with them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from saltlick.engine.observe import observe
from saltlick.engine.ports import Clock, Cloud
from saltlick.engine.resource import Kind, Scope
from saltlick.engine.wait import until
from saltlick.environment.console import Consoles
from saltlick.environment.pillar import Environment, declared_servers
from saltlick.errors import ServerFailed, WaitTimeout
from saltlick.words import one_line

REQUEST_TIMEOUT_S = 10.0
LONGEST_FACT = 100
KIND = "load_balancer"
GROUP = "target_group"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProbe:
    """The result of one request. `status` 0 means no answer; `problem` then holds the reason."""

    url: str
    status: int = 0
    server: str = ""
    revision: str = ""
    request_id: str = ""
    duration_ms: int = 0
    problem: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 400

    def __str__(self) -> str:
        if not self.ok:
            return f"{self.url}: {self.problem or self.status}"
        who = f" from {self.server}" if self.server else ""
        what = f" at revision {self.revision[:12]}" if self.revision else ""
        return f"{self.url}: {self.status}{who}{what} in {self.duration_ms} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTarget:
    """One server behind a balancer, as the balancer sees it."""

    group: str
    server: str
    state: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.group}: {self.server} is {self.state}" + (f" ({self.reason})" if self.reason else "")


Fetch = Callable[[str], HttpProbe]


def pages(environment: Environment, cloud: Cloud, kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    """Addresses of the environment's public balancers. One that is internal cannot be asked from outside.

    Raises: ServerFailed when AWS does not have one that is declared; AwsError.
    IAM: the observe actions of load_balancer.
    """
    balancers = observe({KIND: kinds[KIND]}, cloud, Scope((environment.name,), {})).objects
    names = {
        key.address: balancer.attributes["dns_name"]
        for key, balancer in balancers.items()
        if key.environment == environment.name
    }
    return tuple(_pages(environment, names))


def _pages(environment: Environment, names: Mapping[str, str]) -> Iterator[str]:
    for name, balancer in environment.balancers.items():
        if balancer.internal:
            continue
        if not (host := names.get(f"{KIND}/{name}")):
            raise ServerFailed(f"{environment.name}: AWS has no load balancer {name}, though it is declared")
        yield f"http://{host}/" if balancer.port == 80 else f"http://{host}:{balancer.port}/"


def targets(environment: Environment, cloud: Cloud, kinds: Mapping[str, Kind]) -> tuple[ProbeTarget, ...]:
    """Every server behind the environment's balancers.

    Raises: AwsError.
    Source: ELBv2 DescribeTargetHealth.
    IAM: the observe actions of target_group, elasticloadbalancing:DescribeTargetHealth, ec2:DescribeInstances.
    """
    seen = observe({GROUP: kinds[GROUP]}, cloud, Scope((environment.name,), {})).objects
    names = {instance.id: instance.name for instance in Consoles(cloud).instances()}
    return tuple(
        ProbeTarget(
            group=key.address,
            server=names.get(target["Target"]["Id"], target["Target"]["Id"]),
            state=target["TargetHealth"]["State"],
            reason=target["TargetHealth"].get("Description") or target["TargetHealth"].get("Reason") or "",
        )
        for key, group in sorted(seen.items())
        if key.environment == environment.name
        for target in cloud.call("elbv2", "describe_target_health", TargetGroupArn=group.id)["TargetHealthDescriptions"]
    )


def all_well(
    look: Callable[[], tuple[ProbeTarget, ...]], *, deadline_s: float, clock: Clock
) -> tuple[ProbeTarget, ...]:
    """Wait until the balancers find every server behind them healthy.

    Raises: ServerFailed naming each that is not; AwsError.
    """
    try:
        return until(
            look, lambda seen: not _ill(seen), what="servers", describe=_ill, deadline_s=deadline_s, clock=clock
        )
    except WaitTimeout as error:
        raise ServerFailed(f"not well behind the balancer after {error.waited_s:.0f} s:\n{error.last}") from error


def _ill(seen: tuple[ProbeTarget, ...]) -> str:
    return "\n".join(str(target) for target in seen if target.state != "healthy")


def rounds(environment: Environment) -> int:
    """The number of requests that covers every server: two for each server behind a balancer."""
    behind = {group for balancer in environment.balancers.values() for group in balancer.servers}
    return 2 * max(1, sum(server.group in behind for server in declared_servers(environment)))


def check(
    urls: Iterable[str], *, requests: int, deadline_s: float, clock: Clock, fetch: Fetch | None = None
) -> tuple[HttpProbe, ...]:
    """Request each page until `requests` answers in a row succeed.

    Raises: ServerFailed naming the page and what it last answered.
    """
    return tuple(answer for url in urls for answer in _page(url, requests, deadline_s, clock, fetch or _fetch))


def _page(url: str, requests: int, deadline_s: float, clock: Clock, fetch: Fetch) -> tuple[HttpProbe, ...]:
    try:
        return until(
            lambda: _round(fetch, url, requests),
            lambda answers: answers[-1].ok,
            what=f"the page at {url}",
            describe=lambda answers: str(answers[-1]),
            deadline_s=deadline_s,
            clock=clock,
        )
    except WaitTimeout as error:
        raise ServerFailed(f"{error}; no server behind it is healthy, or the balancer is not reachable") from error


def _round(ask: Fetch, url: str, requests: int) -> tuple[HttpProbe, ...]:
    """`requests` answers, or those up to the first failed one."""
    answers: list[HttpProbe] = []
    while len(answers) < requests and all(answer.ok for answer in answers):
        answers.append(ask(url))
    return tuple(answers)


def summary(answers: Iterable[HttpProbe]) -> dict[str, dict[str, Any]]:
    """By page: which servers answered, at which revisions, and how often."""
    by_page: dict[str, dict[str, Any]] = {}
    for answer in answers:
        page = by_page.setdefault(answer.url, {"requests": 0, "servers": [], "revisions": []})
        page["requests"] += 1
        for name, value in (("servers", answer.server), ("revisions", answer.revision)):
            if value and value not in page[name]:
                page[name] = sorted([*page[name], value])
    return by_page


class _NoRedirect(HTTPRedirectHandler):
    """Returns a redirect as the page's answer instead of following it."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _fetch(url: str) -> HttpProbe:
    started = time.monotonic()
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "saltlick-smoke"})  # noqa: S310
    try:
        with build_opener(ProxyHandler({}), _NoRedirect).open(request, timeout=REQUEST_TIMEOUT_S) as response:
            status, body = response.status, response.read(100_000)
    except HTTPError as error:
        status, body = error.code, b""
    except (URLError, OSError) as error:
        return HttpProbe(url=url, problem=one_line(str(getattr(error, "reason", error))))
    return HttpProbe(url=url, status=status, duration_ms=int((time.monotonic() - started) * 1000), **_facts(body))


def _facts(body: bytes) -> dict[str, str]:
    try:
        reply = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(reply, dict):
        return {}
    said = {name: one_line(str(reply[name])) for name in ("server", "revision", "request_id") if reply.get(name)}
    return {name: text[:LONGEST_FACT] for name, text in said.items()}
