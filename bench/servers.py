"""Starts and stops the moto server and the proxy, each a process of its own, and talks to the proxy's control paths."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
WARMING = {
    "ec2": "Action=DescribeImages&Version=2016-11-15&ImageId.1=ami-12c6146b",
    "elasticloadbalancing": "Action=DescribeLoadBalancers&Version=2015-12-01",
    "iam": "Action=ListRoles&Version=2010-05-08",
    "ssm": '{"Name": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"}',
}


@dataclass(frozen=True)
class Servers:
    """A running pair. `direct` is moto itself (for checks), `url` the proxy (for what is measured)."""

    direct: str
    url: str

    def environ(self, *, direct: bool = False) -> dict[str, str]:
        """The process environment in which boto3 talks to this pair, and to nothing else."""
        return aws_environ(self.direct if direct else self.url)

    def reset_aws(self) -> None:
        """Empty moto, and let it load its images and models before anything is timed."""
        post(self.direct + "/moto-api/reset")
        warm(self.direct)

    def reset(self, **faults: Any) -> None:
        """Counts to nought; `faults` are the fields of the sandbox's `Faults` and of `bench.proxy.Kill`."""
        post(self.url + "/_bench/reset", faults)

    def stats(self) -> Mapping[str, Any]:
        with urllib.request.urlopen(self.url + "/_bench/stats") as answer:
            stats: Mapping[str, Any] = json.load(answer)
        return stats


def aws_environ(url: str) -> dict[str, str]:
    """This process's environment without any AWS, moto or proxy setting of the caller's, pointed at `url`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MOTO_")) and not name.lower().endswith("_proxy")
    }
    return kept | {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def warm(url: str) -> None:
    """One unsigned read per service: moto picks the service by the signature's scope."""
    for service, body in WARMING.items():
        scope = f"AWS4-HMAC-SHA256 Credential=bench/20260101/{REGION}/{service}/aws4_request"
        headers = {"Authorization": scope, "Content-Type": "application/x-www-form-urlencoded"}
        if service == "ssm":
            headers |= {"X-Amz-Target": "AmazonSSM.GetParameter", "Content-Type": "application/x-amz-json-1.1"}
        urllib.request.urlopen(urllib.request.Request(url, data=body.encode(), headers=headers)).read()


def post(url: str, body: Any = None) -> None:
    request = urllib.request.Request(url, data=json.dumps(body or {}).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()


@contextlib.contextmanager
def running(*, latency_ms: float = 100) -> Iterator[Servers]:
    """A moto server with its default settings, and the proxy before it."""
    port = free_port()
    with started([sys.executable, "-m", "bench.moto_server", str(port)]):
        direct = f"http://127.0.0.1:{port}"
        await_answer(direct + "/moto-api/data.json")
        command = [sys.executable, "-m", "bench.proxy", "--upstream", direct, "--latency-ms", str(latency_ms)]
        with started(command, stdout=subprocess.PIPE) as proxy:
            assert proxy.stdout is not None
            warm(direct)
            yield Servers(direct, f"http://127.0.0.1:{int(proxy.stdout.readline())}")


@contextlib.contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A child process from the checkout's root, terminated at the end of the block."""
    options.setdefault("stdout", subprocess.DEVNULL)
    process = subprocess.Popen(command, cwd=ROOT, env=aws_environ(""), stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def await_answer(url: str, timeout_s: float = 60) -> None:
    """Raises: TimeoutError when nothing answers in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url).read()
            return
        time.sleep(0.1)
    raise TimeoutError(f"{url}: no answer within {timeout_s:.0f} s")
