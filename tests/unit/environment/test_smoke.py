"""The smoke check: well several times in a row, or named with what was seen last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.clock import FakeClock
from support.cloud import FakeCloud

from saltlick.engine.ports import Reading
from saltlick.engine.resource import Key, Kind, Observed, Scope
from saltlick.environment import smoke
from saltlick.environment.pillar import parse_environment
from saltlick.environment.smoke import HttpProbe, check, summary
from saltlick.errors import ServerFailed

URL = "http://lb.example/"

PILLAR = {
    "environment": {
        "name": "test",
        "region": "us-east-1",
        "cidr": "10.20.0.0/16",
        "zones": ["us-east-1a", "us-east-1b"],
        "image": {"id": "ami-1"},
        "subnets": {"public": {"cidrs": ["10.20.0.0/24", "10.20.1.0/24"]}},
        "firewall": {"lb": [{"from": "world", "tcp": 80}], "app": [{"from": "lb", "tcp": 80}]},
        "salt": {"master": "10.0.0.1"},
        "servers": {
            "app": {"count": 3, "type": "t3.small", "subnet": "public", "firewall": "app"},
            "db": {"count": 2, "type": "t3.small", "subnet": "public", "firewall": "app"},
        },
        "balancers": {
            "www": {"servers": "app", "subnet": "public", "firewall": "lb"},
            "api": {"servers": "app", "subnet": "public", "firewall": "lb", "port": 8443},
            "inner": {"servers": "db", "subnet": "public", "firewall": "lb", "internal": True},
        },
    }
}


def well(server: str = "test-app-1") -> HttpProbe:
    return HttpProbe(url=URL, status=200, server=server, revision="f5d9859" + "0" * 33, duration_ms=12)


def ill(status: int = 503) -> HttpProbe:
    return HttpProbe(url=URL, status=status, problem="" if status else "refused")


@dataclass
class Pages:
    """Answers in order; the last one for ever."""

    answers: list[HttpProbe]
    asked: list[str] = field(default_factory=list)

    def __call__(self, url: str) -> HttpProbe:
        self.asked.append(url)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_answers_well_in_a_row_and_says_who():
    answers = check([URL], requests=2, deadline_s=10, clock=FakeClock(), fetch=Pages([well("a"), well("b")]))
    assert [answer.server for answer in answers] == ["a", "b"]
    assert str(answers[0]) == f"{URL}: 200 from a at revision f5d985900000 in 12 ms"
    assert summary(answers) == {URL: {"requests": 2, "servers": ["a", "b"], "revisions": ["f5d9859" + "0" * 33]}}


def test_one_bad_answer_among_good_ones_starts_the_count_again():
    pages = Pages([well(), ill(), well(), well(), well()])
    assert len(check([URL], requests=3, deadline_s=10, clock=FakeClock(), fetch=pages)) == 3
    assert len(pages.asked) == 5


@pytest.mark.parametrize(("last", "said"), [(ill(), "503"), (ill(0), "refused")])
def test_a_page_that_stays_ill_is_named_with_its_last_answer(last, said):
    clock = FakeClock()
    with pytest.raises(ServerFailed, match=rf"the page at {URL}: not so after 30 s; last seen: {URL}: {said}"):
        check([URL], requests=3, deadline_s=30, clock=clock, fetch=Pages([last]))
    assert clock.time_s == pytest.approx(30, abs=1)


@pytest.mark.parametrize(("status", "ok"), [(200, True), (302, True), (404, False), (500, False), (0, False)])
def test_well_is_2xx_or_3xx(status, ok):
    assert HttpProbe(url=URL, status=status).ok is ok


@dataclass
class BalancerKind(Kind):
    """Load balancers, by name with the DNS name of test's."""

    names: dict[str, str]

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for name, dns in self.names.items():
            for environment in ("test", "prod"):
                key = Key(environment, f"load_balancer/{name}")
                attributes = {"id": "arn", "dns_name": dns if environment == "test" else "prods"}
                yield Observed(key=key, properties={}, attributes=attributes)


def test_pages_are_the_public_balancers_of_this_environment():
    environment = parse_environment(PILLAR, environment="test")
    kinds = {"load_balancer": BalancerKind({"www": "www.elb", "api": "api.elb", "inner": "inner.elb"})}
    assert smoke.pages(environment, FakeCloud(), kinds) == ("http://www.elb/", "http://api.elb:8443/")
    assert smoke.rounds(environment) == 10  # three app servers, and the two behind the internal one


def test_a_declared_balancer_that_aws_does_not_have_is_named():
    environment = parse_environment(PILLAR, environment="test")
    with pytest.raises(ServerFailed, match="no load balancer api"):
        smoke.pages(environment, FakeCloud(), {"load_balancer": BalancerKind({"www": "www.elb"})})


class GroupKind(Kind):
    """Two groups: one of ours, one of prod's."""

    def observe(self, reading: Reading, scope: Scope) -> Iterator[Observed]:
        for environment in ("test", "prod"):
            yield Observed(key=Key(environment, "target_group/www"), properties={}, attributes={"id": environment})


@dataclass
class Elb(FakeCloud):
    """Health by target, one look after the other."""

    looks: list[dict[str, str]]

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        return ()

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        assert (operation, parameters) == ("describe_target_health", {"TargetGroupArn": "test"})
        health = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        targets = [
            {"Target": {"Id": server}, "TargetHealth": {"State": state, "Reason": "Target.Timeout"}}
            for server, state in health.items()
        ]
        return {"TargetHealthDescriptions": targets}


def looking(elb: Elb):
    return lambda: smoke.targets(parse_environment(PILLAR, environment="test"), elb, {"target_group": GroupKind()})


def test_waits_until_every_server_is_well_not_just_one():
    elb = Elb(
        [
            {"i-1": "initial", "i-2": "initial"},
            {"i-1": "healthy", "i-2": "initial"},
            {"i-1": "healthy", "i-2": "healthy"},
        ]
    )
    seen = smoke.all_well(looking(elb), deadline_s=60, clock=elb.clock)
    assert [target.state for target in seen] == ["healthy", "healthy"]
    assert elb.clock.time_s > 0


def test_a_server_that_stays_ill_behind_the_balancer_is_named():
    elb = Elb([{"i-1": "healthy", "i-2": "unhealthy"}])
    with pytest.raises(ServerFailed) as failed:
        smoke.all_well(looking(elb), deadline_s=30, clock=elb.clock)
    assert "target_group/www: i-2 is unhealthy (Target.Timeout)" in str(failed.value)
    assert "i-1" not in str(failed.value)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff", b'{"other": 1}'])
def test_a_page_that_tells_nothing_of_itself_is_just_well(body):
    assert smoke._facts(body) == {}
