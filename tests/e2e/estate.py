"""The reference estate's `test` on the sandbox, as an operator builds it and asks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from saltlick.sandbox.control import Sandbox

CHECKOUT = Path(__file__).resolve().parents[2]
SALTLICK = Path(sys.executable).with_name("saltlick")
MASTER = "salt-master"
SERVERS = ("test-app-1", "test-app-2", "test-db-1", "test-db-2")
DEPLOY = ("salt-run", "state.orchestrate", "orch.deploy-environment", "pillarenv=test", "--out=json")


def bootstrap(sandbox: Sandbox) -> str:
    """`saltlick bootstrap` on this machine: what it said."""
    done = subprocess.run(
        [SALTLICK, "bootstrap", "--pillar", CHECKOUT / "pillar"],
        env={**os.environ, **sandbox.environment()},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


def deploy(sandbox: Sandbox) -> dict[str, Any]:
    """The orchestration on the master: its states by id."""
    done = sandbox.run(MASTER, DEPLOY, timeout_s=2400)
    assert done.stdout.startswith("{"), done.stderr
    [states] = json.loads(done.stdout)["data"].values()
    failed = {state["__id__"]: state["comment"] for state in states.values() if state["result"] is False}
    assert (done.returncode, failed) == (0, {}), done.stderr
    return {state["__id__"]: state for state in states.values()}


def page_url(sandbox: Sandbox) -> str:
    """The balancer's outer address."""
    [url] = [url for one in sandbox.status()["balancers"] if one["name"] == "test-www" for url in one["urls"]]
    return str(url)


def fetch(url: str, **headers: str) -> dict[str, str]:
    """The page as data, and the request id that came back in its header."""
    request = Request(url, headers={"Accept": "application/json", **headers})
    with build_opener(ProxyHandler({})).open(request, timeout=20) as response:
        return {**json.load(response), "header": response.headers["X-Request-Id"]}


def keys(sandbox: Sandbox) -> dict[str, list[str]]:
    """Minion keys by state."""
    done = sandbox.run(MASTER, ["salt-key", "--list-all", "--out=json"])
    return dict(json.loads(done.stdout))
