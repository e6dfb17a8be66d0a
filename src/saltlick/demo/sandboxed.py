"""With containers: the whole of the main job on the local AWS, from an empty region to a page through the balancer."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from saltlick.demo.stage import StepFailed, tool

if TYPE_CHECKING:
    from saltlick.demo.stage import DemoStage

ENVIRONMENT = "test"
BALANCER = f"{ENVIRONMENT}-www"
MASTER = "salt-master"
DEPLOY = ("salt-run", "state.orchestrate", "orch.deploy-environment", f"pillarenv={ENVIRONMENT}", "--out=json")
DEPLOY_CONTROL = ("salt-run", "state.orchestrate", "orch.deploy-environment", "pillarenv=control", "--out=json")
REQUESTS = 6


def play(stage: DemoStage) -> None:
    """Sandbox up, bootstrap, deploy `test`, look at the page, deploy again, tour. Leaves the sandbox running.

    Raises: StepFailed.
    """
    stage.act("A local AWS whose instances boot")
    stage.run("start the sandbox (the first time it builds its images: some minutes)", saltlick("sandbox", "up"))
    stage.env.update(environ(stage))

    stage.act("A Salt master in an empty region")
    stage.run("build control, boot the master, wait for it", saltlick("bootstrap"))
    stage.run("the master's own roles: backups, and the third voice of the databases", on_master(*DEPLOY_CONTROL))

    stage.act(f"One command builds {ENVIRONMENT}")
    deployed = stage.run("network, servers, minions, services, application", on_master(*DEPLOY))
    stage.show("\n".join(summary(deployed)))
    page = look(stage)

    stage.act("The same command again")
    again = stage.run("nothing is left to do", on_master(*DEPLOY))
    changed = changes(again)
    if changed:
        raise StepFailed("the same command again", "it changed something", changed)
    stage.tour("the tour", facts(stage, page), commands())


def saltlick(*arguments: str) -> list[str]:
    """A `saltlick` command; the sandbox sets packet filter rules, so it wants root."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n", "-E"]
    return [*as_root, tool("saltlick"), *arguments]


def on_master(*command: str) -> list[str]:
    """A command on the master, as one would type it in a shell there."""
    return saltlick("sandbox", "shell", MASTER, "--", *filter(None, command))


def environ(stage: DemoStage) -> dict[str, str]:
    """What `eval $(saltlick sandbox env)` sets."""
    lines = query("sandbox", "env").splitlines()
    variables = dict(word.partition("=")[::2] for line in lines for word in shlex.split(line)[1:])
    stage.remark(f"  AWS's API is at {variables['AWS_ENDPOINT_URL']}")
    return variables


def query(*arguments: str) -> str:
    """What a quick `saltlick` command says; a step of its own is not worth showing.

    Raises: StepFailed.
    """
    command = saltlick(*arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise StepFailed(shlex.join(command), f"exit code {done.returncode}", done.stderr.splitlines()[-10:])
    return done.stdout


def status() -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(query("sandbox", "status", "--json"))
    return reply


def look(stage: DemoStage) -> dict[str, Any]:
    """Fetch the page through the balancer a few times; say which servers answered, at which revision.

    Raises: StepFailed when it does not answer, or names no server and revision.
    """
    with stage.step("fetch the page through the load balancer") as notify:
        url = address()
        notify(url)
        answers = [fetch(url) for _ in range(REQUESTS)]
    for answer in {page["server"]: page for page in answers}.values():
        stage.remark(
            f"    {url} → {answer['server']}, revision {answer['revision'][:12]}, request {answer['request_id']}"
        )
    return {**answers[0], "url": url, "servers": sorted({page["server"] for page in answers})}


def address() -> str:
    """Where the balancer is reached from this machine."""
    urls = [url for balancer in status()["balancers"] if balancer["name"] == BALANCER for url in balancer["urls"]]
    if not urls:
        raise StepFailed("fetch the page", f"the sandbox knows no balancer {BALANCER} with a listener")
    return str(urls[0])


def fetch(url: str) -> dict[str, str]:
    """The page's own facts."""
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - an address the sandbox gave
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=20) as response:
            reply: dict[str, str] = json.load(response)
    except (URLError, OSError, ValueError) as error:
        raise StepFailed("fetch the page", f"{url}: {error}") from error
    lacking = {"server", "revision", "request_id"} - {name for name, value in reply.items() if value}
    if lacking:
        raise StepFailed("fetch the page", f"{url} does not say: {', '.join(sorted(lacking))}", [json.dumps(reply)])
    time.sleep(0.05)
    return reply


def steps(output: str) -> list[tuple[str, dict[str, Any]]]:
    """The steps of an orchestration in the order in which they ran, from its JSON."""
    states = [item for master in json.loads(output)["data"].values() for item in master.items()]
    return sorted(states, key=lambda item: int(item[1].get("__run_num__", 0)))


def summary(output: str) -> list[str]:
    """A line per step: what it is called, how long it took, and the first thing it says."""
    return [
        f"{step.get('__id__', name):<24} {float(step.get('duration', 0)) / 1000:7.1f} s  {_first_line(step)}"
        for name, step in steps(output)
    ]


def _first_line(step: dict[str, Any]) -> str:
    return (str(step.get("comment") or "").strip().splitlines() or [""])[0][:100]


def changes(output: str) -> list[str]:
    """The steps of an orchestration that changed something: building and configuring, not asking."""
    return [
        f"{name}: {json.dumps(step['changes'])[:500]}"
        for name, step in steps(output)
        if step.get("changes") and _builds(name)
    ]


def _builds(name: str) -> bool:
    """Whether a step's changes mean a change: locks and calls of functions always report what they did."""
    module, function = name.split("_|-")[0], name.split("_|-")[-1]
    return (module, function) == ("salt", "state") or (module == "environment" and function in {"present", "admitted"})


def facts(stage: DemoStage, page: dict[str, Any]) -> dict[str, str]:
    """What was built."""
    sandbox = status()
    running = sorted(item["name"] for item in sandbox["instances"] if item["state"] == "running")
    return {
        "built": f"control with its Salt master, and {ENVIRONMENT} from pillar/{ENVIRONMENT}/environment.sls",
        "servers": ", ".join(running),
        "the page": page["url"],
        "answered by": f"{', '.join(page['servers'])} at revision {page['revision'][:12]}",
        "AWS's API": stage.env["AWS_ENDPOINT_URL"],
        "still running": "all of it; `make clean` or `saltlick sandbox down` takes it away",
    }


def commands() -> dict[str, str]:
    """The three to try next."""
    bin_ = os.path.relpath(tool("saltlick"))
    shell = f"{bin_} sandbox shell {MASTER} --"
    ask = f"{shell} salt '{ENVIRONMENT}-app-*' cmd.run 'grep -rhI my-own /var/log || true'"
    return {
        "try: drift after manual changes": f"{shell} salt-run environment.drift {ENVIRONMENT}",
        "try: production, from the same files": f"{shell} salt-run state.orchestrate orch.deploy-environment pillarenv=prod",
        "try: follow one request through every hop": f"curl -si -H 'X-Request-Id: my-own' {address()}\n{ask}",
    }
