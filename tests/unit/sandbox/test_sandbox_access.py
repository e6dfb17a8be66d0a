"""A sandbox answers its owner's programs: no web page, no other local user, no foreign host name."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from saltlick.demo.embedded import embedded_aws
from saltlick.errors import SaltlickError
from saltlick.sandbox import access, http
from saltlick.sandbox.api import Api
from saltlick.sandbox.cloud import application
from saltlick.sandbox.faults import FaultInjector
from saltlick.sandbox.hypervisor import Hypervisor
from saltlick.sandbox.serve import control

KEY = access.new_key()
SIGNED = f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0"
FORM = "Action=DescribeVpcs&Version=2016-11-15"
FAULTS = json.dumps({"error_rate": 1})
PAGE = {"Origin": "https://evil.example"}


class Served:
    """A sandbox's own port, as `serve.start` builds it, with moto behind it."""

    def __init__(self) -> None:
        self.injector = FaultInjector()
        api = Api(application(), self.injector, threading.RLock(), {}, lambda _call: None)
        hypervisor = cast(Hypervisor, SimpleNamespace(injector=self.injector, status=lambda: {"pid": 1}))
        self.server = http.wsgi_server(access.for_owner(control(hypervisor, api), KEY), "127.0.0.1", 0)
        self.port = self.server.server_port
        http.in_background(self.server)

    def ask(self, method: str, path: str, body: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.server.shutdown()
    made.server.server_close()


def client(endpoint: str, key: str, service: str = "ec2") -> Any:
    keys = {"aws_access_key_id": key, "aws_secret_access_key": "any", "region_name": "us-east-1"}
    return boto3.client(
        cast(Any, service), endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}), **keys
    )


def test_the_owners_programs_get_an_answer_without_cors(served: Served) -> None:
    status, headers, body = served.ask("POST", "/", FORM, {"Authorization": SIGNED})
    assert (status, "DescribeVpcsResponse" in body) == (200, True)
    assert [name for name in headers if name.startswith("access-control-")] == []
    assert client(f"http://127.0.0.1:{served.port}", KEY).describe_vpcs()["Vpcs"]
    assert client(f"http://localhost:{served.port}", KEY, "sts").get_caller_identity()["Account"]


@pytest.mark.parametrize(
    "headers",
    [
        PAGE,
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "evil.example"},
        {"Host": "evil.example:4566"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
    ],
)
def test_a_web_page_is_refused_even_with_the_key(served: Served, headers: dict[str, str]) -> None:
    for path, body in (("/", FORM), ("/_saltlick/faults", FAULTS), ("/moto-api/reset", "")):
        status, sent, _ = served.ask("POST", path, body, {"Authorization": SIGNED, **headers})
        assert (status, [name for name in sent if name.startswith("access-control-")]) == (403, [])
    assert served.injector.faults.error_rate == 0


def test_a_preflight_is_refused(served: Served) -> None:
    asked = {**PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    status, headers, _ = served.ask("OPTIONS", "/", "", asked)
    assert (status, [name for name in headers if name.startswith("access-control-")]) == (403, [])


@pytest.mark.parametrize("path", ["/", "/_saltlick/status", "/_saltlick/faults", "/moto-api/", "/bucket/key"])
@pytest.mark.parametrize(
    "authorization",
    ["", SIGNED.replace(KEY, "sandbox"), SIGNED.replace(KEY, KEY + "A"), SIGNED.replace(KEY, ""), KEY, "Credential="],
)
def test_another_local_user_is_refused(served: Served, path: str, authorization: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        status, _, body = served.ask(method, path, FAULTS, {"Authorization": authorization} if authorization else {})
        assert (status, KEY in body) == (403, False)
    assert served.injector.faults.error_rate == 0


@pytest.mark.parametrize(
    ("service", "operation"), [("ec2", "describe_vpcs"), ("sts", "get_caller_identity"), ("ssm", "describe_parameters")]
)
def test_a_stale_key_is_one_clear_error_of_each_protocol(served: Served, service: str, operation: str) -> None:
    with pytest.raises(ClientError, match=r"AuthFailure.*saltlick sandbox env") as caught:
        getattr(client(f"http://127.0.0.1:{served.port}", "sandbox", service), operation)()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_presigned_address_counts_as_signed(served: Served) -> None:
    s3 = client(f"http://127.0.0.1:{served.port}", KEY, "s3")
    s3.create_bucket(Bucket="presigned")
    query = f"/presigned?X-Amz-Credential={KEY}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
    assert served.ask("GET", query, "", {})[0] == 200
    assert served.ask("GET", query.replace(KEY, "sandbox"), "", {})[0] == 403


def test_the_demo_asks_for_its_key_too() -> None:
    with embedded_aws(KEY) as endpoint:
        assert client(endpoint, KEY).describe_vpcs()["Vpcs"]
        with pytest.raises(ClientError, match="AuthFailure"):
            client(endpoint, "demo").describe_vpcs()


def test_the_key_is_random_kept_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = access.ensure_key(tmp_path)
    assert (tmp_path / access.FILE).stat().st_mode & 0o777 == 0o600
    assert access.ensure_key(tmp_path) == first == access.read_key(tmp_path)
    (tmp_path / access.FILE).unlink()
    assert access.ensure_key(tmp_path) != first


def test_a_key_that_others_can_read_or_put_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SaltlickError, match="saltlick sandbox up"):
        access.read_key(tmp_path)
    access.ensure_key(tmp_path)
    (tmp_path / access.FILE).chmod(0o640)
    with pytest.raises(SaltlickError, match="open to others"):
        access.ensure_key(tmp_path)
    (tmp_path / access.FILE).rename(tmp_path / "elsewhere")
    (tmp_path / access.FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SaltlickError, match="cannot be read"):
        access.ensure_key(tmp_path)
