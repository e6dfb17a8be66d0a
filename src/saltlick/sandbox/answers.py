"""Calls that are answered from what really runs instead of by moto: console, health of targets, addresses that are taken."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from uuid import uuid4

from saltlick.sandbox.api import Answer, RefusedRequest, element
from saltlick.sandbox.balancer import BackendHealth
from saltlick.sandbox.cloud import SandboxTarget


def console_output(console: Callable[[str], bytes | None]) -> Answer:
    """GetConsoleOutput: the last 64 KB of the instance's console, always the latest, base64 as AWS sends it."""

    def answer(parameters: Mapping[str, str]) -> bytes | None:
        instance = parameters.get("InstanceId", "")
        output = console(instance)
        if output is None:
            return None
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        fields = [element("requestId", uuid4()), element("instanceId", instance), element("timestamp", now)]
        fields.append(element("output", b64encode(output).decode()))
        body = "".join(fields)
        name, space = "GetConsoleOutputResponse", "http://ec2.amazonaws.com/doc/2016-11-15/"
        return f'<{name} xmlns="{space}">{body}</{name}>'.encode()

    return answer


def target_health(health: Callable[[str], Mapping[SandboxTarget, BackendHealth] | None]) -> Answer:
    """DescribeTargetHealth as the load balancer sees its targets, those being drained included."""

    def answer(parameters: Mapping[str, str]) -> bytes | None:
        known = health(parameters.get("TargetGroupArn", ""))
        if known is None:
            return None
        questions = list(_asked(parameters))
        chosen = [t for t in known if not questions or t.id in {i for i, _ in questions}]
        shown = [(target, known[target]) for target in chosen]
        missing = {i for i, _ in questions} - {t.id for t in chosen}
        shown += [
            (SandboxTarget(id=i, port=port), BackendHealth.not_registered()) for i, port in questions if i in missing
        ]
        members = [element("member", _description(target, state)) for target, state in shown]
        result = element("DescribeTargetHealthResult", [element("TargetHealthDescriptions", members)])
        meta = element("ResponseMetadata", [element("RequestId", uuid4())])
        name, space = "DescribeTargetHealthResponse", "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"
        return f'<{name} xmlns="{space}">{result}{meta}</{name}>'.encode()

    return answer


def new_vpc(taken: Callable[[str], str | None]) -> Answer:
    """CreateVpc, refused for addresses that this machine uses for something else; everything else is moto's to answer."""

    def answer(parameters: Mapping[str, str]) -> bytes | None:
        cidr = parameters.get("CidrBlock", "")
        if by := taken(cidr):
            raise RefusedRequest("InvalidVpc.Range", f"{cidr} cannot be a VPC of this sandbox: {by} on this machine")
        return None

    return answer


def _asked(parameters: Mapping[str, str]) -> list[tuple[str, int]]:
    questions, n = [], 1
    while f"Targets.member.{n}.Id" in parameters:
        questions.append((parameters[f"Targets.member.{n}.Id"], int(parameters.get(f"Targets.member.{n}.Port", "0"))))
        n += 1
    return questions


def _description(target: SandboxTarget, health: BackendHealth) -> list[str]:
    state = [element("State", health.state)]
    if health.reason:
        state += [element("Reason", health.reason), element("Description", health.description)]
    return [
        element("HealthCheckPort", target.port),
        element("Target", [element("Id", target.id), element("Port", target.port)]),
        element("TargetHealth", state),
    ]
