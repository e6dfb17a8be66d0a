"""A night of `test`: off in order, nothing runs and nobody answers; back in order, and the site is there again."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError

import pytest
from e2e.estate import MASTER, SERVERS, fetch, page_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from saltlick.sandbox.control import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ORDER = ["test-app-1", "test-app-2", "test-db-1", "test-db-2"]


def offhours(sandbox: Sandbox, command: str, *arguments: str, environment: str = "test") -> dict[str, Any]:
    """`salt-run offhours.<command> test …`: its answer, with its exit code as `code`."""
    words = ["salt-run", f"offhours.{command}", environment, *arguments, "--out=json"]
    done = sandbox.run(MASTER, words, timeout_s=900)
    assert done.stdout.startswith("{"), (done.stdout, done.stderr)
    return {**json.loads(done.stdout), "code": done.returncode, "said": done.stderr}


def states(aws: Any) -> dict[str, str]:
    """As AWS has them."""
    found = {}
    for each in aws("ec2").describe_instances()["Reservations"]:
        for one in each["Instances"]:
            name = next((tag["Value"] for tag in one.get("Tags", ()) if tag["Key"] == "Name"), "")
            if name in SERVERS:
                found[name] = one["State"]["Name"]
    return found


def containers(sandbox: Sandbox) -> set[str]:
    """Servers whose container runs."""
    return {one["name"] for one in sandbox.status()["instances"] if one["container"] == "running"} & set(SERVERS)


def eventually(look: Callable[[], set[str]], wanted: set[str], limit_s: float = 240) -> bool:
    """AWS says so first; the machines follow."""
    deadline = time.monotonic() + limit_s
    while look() != wanted and time.monotonic() < deadline:
        time.sleep(1)
    return look() == wanted


def came(told: dict[str, Any]) -> list[str]:
    return [one["name"] for one in told["outcomes"] if one["came"] == "done"]


@pytest.fixture(scope="module")
def evening(sandbox: Sandbox, built: dict[str, Any]) -> Iterator[Sandbox]:
    """`test` as it was deployed, and Cloud Custodian on its master; on again afterwards, whatever happened."""
    done = sandbox.run(MASTER, ["saltlick", "custodian"], timeout_s=600)
    assert done.returncode == 0, done.stderr
    yield sandbox
    assert offhours(sandbox, "start")["code"] == 0


def test_custodian_takes_the_policies_of_the_reference_estate(evening):
    told = offhours(evening, "validate")
    assert (told["code"], told["valid"]) == (0, True), told


def test_a_night_and_a_morning(evening, aws):
    url = page_url(evening)
    assert fetch(url)["server"] in SERVERS
    went = offhours(evening, "stop")
    assert (went["code"], went["complete"]) == (0, True), went
    assert came(went) == ORDER
    assert states(aws) == dict.fromkeys(SERVERS, "stopped")
    assert eventually(lambda: containers(evening), set())
    with pytest.raises((HTTPError, URLError)):
        fetch(url)
    again = offhours(evening, "stop")
    assert (again["code"], came(again)) == (0, [])

    began = time.monotonic()
    back = offhours(evening, "start")
    assert (back["code"], back["complete"]) == (0, True), back
    assert [set(came(back)[:2]), set(came(back)[2:])] == [{"test-db-1", "test-db-2"}, {"test-app-1", "test-app-2"}]
    assert eventually(lambda: containers(evening), set(SERVERS))
    answers = {fetch(url)["server"] for _ in range(8)}  # at once: being back in traffic is part of the start
    assert answers == {"test-app-1", "test-app-2"}, f"{time.monotonic() - began:.0f} s after the start began"


def test_a_locked_environment_stays_on_and_production_is_refused(evening, aws):
    locked = evening.run(MASTER, ["salt-run", "release.lock", "test", "message=sale until Sunday"])
    assert locked.returncode == 0, locked.stderr
    try:
        told = offhours(evening, "stop")
        assert (told["code"], "sale until Sunday" in told["error"]) == (3, True)
    finally:
        evening.run(MASTER, ["salt-run", "release.unlock", "test"])
    told = offhours(evening, "stop", environment="prod")
    assert (told["code"], "prod is marked production" in told["error"]) == (2, True)
    assert states(aws) == dict.fromkeys(SERVERS, "running")


def test_kept_on_is_kept_on(evening):
    told = offhours(evening, "keep_on", "until=22:00", "reason=demo")
    assert (told["code"], told["keep"]["reason"]) == (0, "demo")
    told = offhours(evening, "status")
    assert (told["code"], told["keep"]["reason"]) == (0, "demo")
    assert {one["state"] for one in told["things"].values()} == {"running"}
    assert offhours(evening, "keep_on", "until=none")["keep"] is None
