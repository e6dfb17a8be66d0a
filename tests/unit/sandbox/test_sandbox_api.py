"""The endpoint in front of moto: our answers, injected faults, the wake-up call."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from saltlick.errors import InvalidInput
from saltlick.sandbox.answers import console_output, new_vpc, target_health
from saltlick.sandbox.api import MOTO, Api, ApiCall
from saltlick.sandbox.balancer import HEALTHY
from saltlick.sandbox.cloud import SandboxTarget
from saltlick.sandbox.faults import Fault, FaultInjector, Faults, parse


class Connection:
    closed = False

    def shutdown(self, _how: int) -> None:
        self.closed = True


class World:
    """An endpoint with a moto that says only that it was asked."""

    def __init__(self, faults: Faults | None = None, answers: dict[Any, Any] | None = None) -> None:
        self.reached: list[bytes] = []
        self.changed: list[str] = []
        self.slept: list[float] = []
        self.connection = Connection()
        self.status = ""
        self.api = Api(
            self._moto, FaultInjector(faults), threading.RLock(), answers or {}, self._told, self.slept.append
        )

    def _moto(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.reached.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return [b"moto"]

    def _told(self, call: ApiCall) -> None:
        self.changed.append(call.action)

    def _start(self, status: str, _headers: list[tuple[str, str]]) -> None:
        self.status = status

    def ask(self, form: str, service: str = "ec2", **more: Any) -> bytes:
        body = form.encode()
        environ = {
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/{service}/aws4_request, Signed",
            "werkzeug.socket": self.connection,
            **more,
        }
        return b"".join(self.api(environ, self._start))


def test_a_call_reaches_moto_unchanged() -> None:
    world = World()
    assert world.ask("Action=RunInstances&MinCount=1") == b"moto"
    assert world.reached == [b"Action=RunInstances&MinCount=1"]


def test_the_hypervisor_wakes_for_changes_and_sleeps_through_questions() -> None:
    world = World()
    for action in ("DescribeVpcs", "CreateVpc", "GetConsoleOutput", "ListRoles", "DeleteVpc"):
        world.ask(f"Action={action}")
    assert world.changed == ["CreateVpc", "DeleteVpc"]


def test_a_vpc_with_addresses_that_are_taken_is_refused_by_name_and_any_other_is_motos() -> None:
    world = World(answers={("ec2", "CreateVpc"): new_vpc({"10.1.0.0/16": "tun<0> has 10.1.0.0/16"}.get)})
    said = world.ask("Action=CreateVpc&CidrBlock=10.1.0.0/16").decode()
    assert world.status == "400 Bad Request"
    assert "<Code>InvalidVpc.Range</Code>" in said
    assert "10.1.0.0/16 cannot be a VPC of this sandbox: tun&lt;0&gt; has 10.1.0.0/16 on this machine" in said
    assert world.reached == []
    assert world.ask("Action=CreateVpc&CidrBlock=10.2.0.0/16") == b"moto"


def test_console_output_comes_from_the_container_as_base64() -> None:
    world = World(answers={("ec2", "GetConsoleOutput"): console_output({"i-1": b"hello"}.get)})
    assert b"<output>aGVsbG8=</output>" in world.ask("Action=GetConsoleOutput&InstanceId=i-1&Latest=true")
    assert world.reached == []
    assert world.ask("Action=GetConsoleOutput&InstanceId=i-unknown") == b"moto"


def test_target_health_comes_from_the_balancer() -> None:
    known = {"tg-1": {SandboxTarget(id="i-1", port=80): HEALTHY}}
    world = World(answers={("elasticloadbalancing", "DescribeTargetHealth"): target_health(known.get)})
    question = "Action=DescribeTargetHealth&TargetGroupArn=tg-1"
    assert b"<State>healthy</State>" in world.ask(question, "elasticloadbalancing")
    other = world.ask(f"{question}&Targets.member.1.Id=i-9", "elasticloadbalancing")
    assert b"Target.NotRegistered" in other
    assert b"i-1" not in other
    assert world.ask("Action=DescribeTargetHealth&TargetGroupArn=tg-2", "elasticloadbalancing") == b"moto"


@pytest.mark.parametrize(
    ("service", "form", "more", "status", "body"),
    [
        ("ec2", "Action=RunInstances", {}, "503", b"<Code>RequestLimitExceeded</Code>"),
        ("iam", "Action=CreateRole", {}, "400", b"<Code>Throttling</Code>"),
        ("ssm", "{}", {"HTTP_X_AMZ_TARGET": "AmazonSSM.GetParameter"}, "400", b"ThrottlingException"),
    ],
)
def test_a_throttled_call_is_not_carried_out_and_is_told_in_the_services_own_words(
    service: str, form: str, more: dict[str, str], status: str, body: bytes
) -> None:
    world = World(Faults(throttle_rate=1))
    assert body in world.ask(form, service, **more)
    assert world.status.startswith(status)
    assert (world.reached, world.changed) == ([], [])


def test_a_lost_answer_is_of_a_call_that_was_carried_out() -> None:
    world = World(Faults(lost_rate=1))
    assert world.ask("Action=CreateVpc") == b""
    assert (len(world.reached), world.changed, world.connection.closed) == (1, ["CreateVpc"], True)


def test_latency_is_slept_and_errors_are_5xx() -> None:
    world = World(Faults(latency_ms=250, error_rate=1))
    world.ask("Action=CreateVpc")
    assert (world.slept, world.status[:3], world.reached) == ([0.25], "500", [])


def test_a_late_error_is_a_500_of_a_call_that_was_carried_out() -> None:
    world = World(Faults(late_error_rate=1))
    assert b"<Code>InternalError</Code>" in world.ask("Action=CreateVpc")
    assert (world.status[:3], len(world.reached), world.changed) == ("500", 1, ["CreateVpc"])


def test_there_are_no_faults_by_default() -> None:
    world = World()
    for _ in range(50):
        assert world.ask("Action=CreateVpc") == b"moto"
    assert world.slept == []


def test_the_same_seed_gives_the_same_faults() -> None:
    rates = Faults(throttle_rate=0.2, error_rate=0.2, late_error_rate=0.2, lost_rate=0.2, seed=7)
    first, second = FaultInjector(rates), FaultInjector(rates)
    drawn = [first.draw() for _ in range(100)]
    assert drawn == [second.draw() for _ in range(100)]
    assert set(drawn) == {None, *Fault}


def test_bad_faults_are_refused_all_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        Faults(throttle_rate=2, latency_ms=-1)
    assert len(refused.value.problems) == 2
    with pytest.raises(InvalidInput, match="gravity"):
        parse({"gravity": 1})


def test_storage_wakes_nobody_and_its_contents_are_no_form() -> None:
    world = World()
    assert world.ask("Action=RunInstances&MinCount=1", service="s3") == b"moto"
    assert world.reached == [b"Action=RunInstances&MinCount=1"]
    assert world.changed == []


BUCKET = """
import io
from moto.server import DomainDispatcherApplication, create_backend_app
from saltlick.sandbox.settings import AWS_HOST
application = DomainDispatcherApplication(create_backend_app)
scope = "AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
def ask(method, path):
    def start(status, headers, exc_info=None):
        print(method, path, status)
    return b"".join(application({
        "REQUEST_METHOD": method, "PATH_INFO": path, "RAW_URI": path, "QUERY_STRING": "", "HTTP_HOST": AWS_HOST,
        "SERVER_NAME": AWS_HOST, "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
        "CONTENT_LENGTH": "0", "HTTP_AUTHORIZATION": scope,
    }, start)).decode()
ask("PUT", "/acme-backups")
print(ask("GET", "/"))
"""


def test_instances_find_buckets_in_the_path_of_the_one_host_name_that_they_have() -> None:
    environment = {**os.environ, **MOTO}
    run = subprocess.run([sys.executable, "-c", BUCKET], env=environment, capture_output=True, text=True, check=True)
    assert "PUT /acme-backups 200" in run.stdout
    assert "<Name>acme-backups</Name>" in run.stdout
