"""The reference estate on the sandbox, as an operator builds it and asks it; `test` unless another environment is named."""

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


def deploy(sandbox: Sandbox, environment: str = "test") -> dict[str, Any]:
    """The main orchestration: its states by id."""
    return orchestrate(sandbox, "deploy-environment", environment)


def orchestrate(sandbox: Sandbox, name: str, environment: str, **pillar: Any) -> dict[str, Any]:
    """An orchestration on the master, all of it successful: its states by id."""
    command = ["salt-run", "state.orchestrate", f"orch.{name}", f"pillarenv={environment}", "--out=json"]
    command += [f"pillar={json.dumps(pillar)}"] if pillar else []
    done = sandbox.run(MASTER, command, timeout_s=2400)
    assert done.stdout.startswith("{"), done.stderr
    [states] = json.loads(done.stdout)["data"].values()
    failed = {state["__id__"]: state["comment"] for state in states.values() if state["result"] is False}
    assert (done.returncode, failed) == (0, {}), done.stderr
    return {state["__id__"]: state for state in states.values()}


def page_url(sandbox: Sandbox, environment: str = "test") -> str:
    """The balancer's outer address."""
    balancers = sandbox.status()["balancers"]
    [url] = [url for balancer in balancers if balancer["name"] == f"{environment}-www" for url in balancer["urls"]]
    return str(url)


def fetch(url: str, **headers: str) -> dict[str, Any]:
    """The page as data, and the request id that came back in its header."""
    request = Request(url, headers={"Accept": "application/json", **headers})
    with build_opener(ProxyHandler({})).open(request, timeout=20) as response:
        return {**json.load(response), "header": response.headers["X-Request-Id"]}


def post(url: str, text: str) -> dict[str, Any]:
    """What came back for a note that was stored."""
    with build_opener(ProxyHandler({})).open(
        Request(f"{url.rstrip('/')}/notes", data=text.encode()), timeout=20
    ) as response:
        assert response.status == 201
        return dict(json.load(response))


def keys(sandbox: Sandbox) -> dict[str, list[str]]:
    """Minion keys by state."""
    done = sandbox.run(MASTER, ["salt-key", "--list-all", "--out=json"])
    return dict(json.loads(done.stdout))
