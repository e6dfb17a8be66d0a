"""A load balancer that balances: health, spreading, draining, seen from outside and from an instance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from e2e.sandbox.clouds_apart import boot, eventually, site, subnet_of

from saltlick.sandbox.control import Sandbox

WEB = """\
#!/bin/sh
mkdir -p /srv/www && cd /srv/www && hostname >index.html && echo ok >health
systemd-run -q --unit=www -p WorkingDirectory=/srv/www python3 -m http.server 80
"""


@dataclass(frozen=True)
class Web:
    group: str
    dns_name: str
    url: str
    instances: tuple[str, str]


@pytest.fixture(scope="module")
def elb(aws: Any) -> Any:
    return aws("elbv2")


@pytest.fixture(scope="module")
def web(aws: Any, elb: Any, sandbox: Sandbox) -> Web:
    ec2 = aws("ec2")
    here = site(ec2, "10.203")
    other = subnet_of(ec2, here.vpc, "10.203.1.0/24", "us-east-1b")
    ids = tuple(boot(ec2, s, f"web-{n}", WEB)["InstanceId"] for n, s in enumerate((here.subnet, other), 1))
    group = elb.create_target_group(
        Name="web",
        Protocol="HTTP",
        Port=80,
        VpcId=here.vpc,
        HealthCheckPath="/health",
        HealthCheckIntervalSeconds=5,
        HealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
    balancer = elb.create_load_balancer(Name="web", Subnets=[here.subnet, other])["LoadBalancers"][0]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=forward)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": i} for i in ids])
    eventually(lambda: health(elb, group), lambda seen: seen == dict.fromkeys(ids, "healthy"))
    url = next(b["urls"][0] for b in sandbox.status()["balancers"] if b["name"] == "web")
    return Web(group, balancer["DNSName"], url, (ids[0], ids[1]))


def health(elb: Any, group: str) -> dict[str, str]:
    found = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {d["Target"]["Id"]: d["TargetHealth"]["State"] for d in found}


def answers(url: str, times: int = 10) -> Counter[str]:
    seen: Counter[str] = Counter()
    for _ in range(times):
        answer = requests.get(url, timeout=5)
        seen[answer.text.strip() if answer.status_code == 200 else str(answer.status_code)] += 1
    return seen


def test_both_targets_answer(web: Web) -> None:
    assert answers(web.url) == {"ip-10-203-0-4": 5, "ip-10-203-1-4": 5}


def test_an_instance_finds_the_balancer_by_its_name(sandbox: Sandbox, web: Web) -> None:
    seen = sandbox.run("web-1", ["curl", "-s", "--max-time", "10", f"http://{web.dns_name}/"])
    assert seen.stdout.strip() in ("ip-10-203-0-4", "ip-10-203-1-4")


def test_a_deregistered_target_drains_and_not_one_request_fails(elb: Any, web: Web) -> None:
    leaving = [{"Id": web.instances[0]}]
    elb.deregister_targets(TargetGroupArn=web.group, Targets=leaving)
    assert health(elb, web.group)[web.instances[0]] == "draining"
    during: Counter[str] = Counter()

    def gone() -> bool:
        during.update(answers(web.url, 20))
        return web.instances[0] not in health(elb, web.group)

    eventually(gone, bool, 30)
    assert set(during) <= {"ip-10-203-0-4", "ip-10-203-1-4"}
    assert answers(web.url) == {"ip-10-203-1-4": 10}
    elb.register_targets(TargetGroupArn=web.group, Targets=leaving)
    eventually(lambda: health(elb, web.group), lambda seen: set(seen.values()) == {"healthy"}, 60)
    assert answers(web.url) == {"ip-10-203-0-4": 5, "ip-10-203-1-4": 5}


def test_a_sick_target_gets_no_traffic_and_comes_back(elb: Any, sandbox: Sandbox, web: Web) -> None:
    sandbox.run("web-2", ["mv", "/srv/www/health", "/srv/www/away"])
    eventually(lambda: health(elb, web.group)[web.instances[1]], lambda seen: seen == "unhealthy", 60)
    eventually(lambda: answers(web.url), lambda seen: seen == {"ip-10-203-0-4": 10}, 10)
    sandbox.run("web-2", ["mv", "/srv/www/away", "/srv/www/health"])
    eventually(lambda: health(elb, web.group)[web.instances[1]], lambda seen: seen == "healthy", 60)
