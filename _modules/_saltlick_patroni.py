"""Patroni's own interface on this server, and the etcd behind it. Sibling of `database` and `backup`."""

import base64
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import salt.utils.yaml
from salt.exceptions import CommandExecutionError

CONFIG = Path("/etc/saltlick/patroni.yml")
ANSWER_S = 10.0
ASK_AGAIN_S = 0.5
SWITCH_ANSWER_S = 60.0
"""Patroni answers a switchover when it is done."""


def request(url, method="GET", data=None, timeout_s=ANSWER_S, config=CONFIG):
    """(HTTP status, body) of an answer. Raises: CommandExecutionError when there is none."""
    headers = {"Content-Type": "application/json"}
    if method != "GET":
        login = salt.utils.yaml.safe_load(config.read_text("utf-8"))["restapi"]["authentication"]
        headers["Authorization"] = (
            "Basic " + base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()
        )
    body = None if data is None else json.dumps(data).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        asked = urllib.request.Request(url, method=method, data=body, headers=headers)  # noqa: S310 - the formula's
        with opener.open(asked, timeout=timeout_s) as response:
            return response.status, response.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")
    except OSError as error:
        why = getattr(error, "reason", error)
        raise CommandExecutionError(f"{url} does not answer: {why}") from error


def member(facts):
    """What this server's Patroni says of itself. Raises: CommandExecutionError when it does not answer."""
    _, body = request(f"{facts['patroni']['url']}/patroni")
    try:
        return json.loads(body)
    except ValueError as error:
        raise CommandExecutionError(f"Patroni answers no JSON: {body[:200]}") from error


def cluster(facts):
    """What Patroni knows of all members: ``{"members": [{"name", "role", "state", "timeline", "lag"}]}``."""
    status, body = request(f"{facts['patroni']['url']}/cluster")
    if status != 200:
        raise CommandExecutionError(f"Patroni does not see its cluster: {body.strip()[:200] or status}")
    return json.loads(body)


def voices(facts):
    """For each member of etcd, whether it answers and has a leader; seen from this server."""
    seen = {}
    for name, endpoint in facts["patroni"]["voices"].items():
        try:
            status, body = request(f"http://{endpoint}/health", timeout_s=3.0)
            seen[name] = status == 200 and str(json.loads(body).get("health")) == "true"
        except (CommandExecutionError, ValueError):
            seen[name] = False
    return seen


def changed(facts, path, data, method="POST", timeout_s=SWITCH_ANSWER_S):
    """Patroni's words on a change that it made. Raises: CommandExecutionError with its words when it refuses."""
    status, body = request(f"{facts['patroni']['url']}{path}", method, data, timeout_s)
    if status not in (200, 202):
        raise CommandExecutionError(f"Patroni refuses ({status}): {body.strip()[:300]}")
    return body.strip()


def wait(facts, path, within_s):
    """Wait until Patroni answers a question about this server (`/primary`, `/replica`) with yes.

    Raises: CommandExecutionError with what it said last.
    """
    deadline = time.monotonic() + within_s
    seen = ""
    while time.monotonic() < deadline:
        try:
            status, body = request(f"{facts['patroni']['url']}{path}")
            if status == 200:
                return
            state = json.loads(body)
            seen = f"it is {state.get('role')}, {state.get('state')}"
        except (CommandExecutionError, ValueError) as error:
            seen = str(error)
        time.sleep(ASK_AGAIN_S)
    raise CommandExecutionError(f"not {path[1:]} within {within_s:g} s: {seen}")


def paused(facts, wanted, within_s=60.0):
    """Stop or resume automatic failover in the whole cluster; returns when this server's Patroni follows.

    Raises: CommandExecutionError.
    """
    changed(facts, "/config", {"pause": True if wanted else None}, "PATCH")
    deadline = time.monotonic() + within_s
    while bool(member(facts).get("pause")) != wanted:
        if time.monotonic() > deadline:
            raise CommandExecutionError(f"Patroni does not {'pause' if wanted else 'resume'} within {within_s:g} s")
        time.sleep(ASK_AGAIN_S)
