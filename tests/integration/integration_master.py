"""The master, its AWS and its minions in one hand, and the pillars they live by."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from integration.real_minions import BIN, Minion
from salt.client import LocalClient

from saltlick.environment.pillar.boot import boot_nonce
from saltlick.jobs.lock import Locks
from saltlick.salt_io.keys import boot_secret

if TYPE_CHECKING:
    from collections.abc import Callable


class CloudOfConsoles(Protocol):
    """What stands in for AWS: where it is, and what each server's console says, by the server's name."""

    consoles: dict[str, str]

    def environ(self) -> dict[str, str]:
        """What leads boto3 there."""


CONTROL = """
environment:
  name: control
  region: us-east-1
  cidr: 172.20.0.0/16
  zones: [us-east-1a]
  subnets: {public: {cidrs: [172.20.0.0/24]}}
  salt: {master: 127.0.0.1}
"""
ENVIRONMENT = """
environment:
  name: %(name)s
  region: us-east-1
  cidr: %(net)s.0.0/16
  zones: [us-east-1a]
  image: {id: ami-12c6146b}
  peers: [control]
  subnets: {public: {cidrs: [%(net)s.0.0/24]}}
  firewall: {app: [{from: control, tcp: 4505-4506}]}
  servers:
    first:  {count: 1, type: t3.small, subnet: public, firewall: app, roles: [probe]}
    second: {count: 1, type: t3.small, subnet: public, firewall: app, roles: [probe]}
  salt: {master: 127.0.0.1}
  deadlines: {ready_s: %(ready_s)s, highstate_s: %(highstate_s)s, smoke_s: 5}
"""
PROBE = """
before:
  cmd.run:
    - name: sh {folder}/before-{{{{ grains.id }}}}
    - onlyif: test -e {folder}/before-{{{{ grains.id }}}}

configured:
  file.managed:
    - name: {folder}/configured-{{{{ grains.id }}}}
    - contents: {{{{ pillar.get('probe', 'nothing of prod') | json }}}}
    - failhard: True
"""


@dataclass
class Run:
    """One orchestration from start to end."""

    code: int
    stdout: str
    stderr: str

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """By id."""
        [states] = json.loads(self.stdout)["data"].values()
        assert isinstance(states, dict), states
        return {state["__id__"]: state for state in states.values()}

    @property
    def failed(self) -> dict[str, dict[str, Any]]:
        return {name: state for name, state in self.states.items() if state["result"] is False}


@dataclass
class IntegrationMaster:
    """The master, its AWS, and the folder in which servers leave what they did."""

    daemon: Any
    cloud: CloudOfConsoles
    folder: Path
    minions: dict[str, Minion] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, **self.cloud.environ()}

    @property
    def pki(self) -> Path:
        return Path(self.daemon.config["pki_dir"])

    @property
    def locks(self) -> Locks:
        return Locks(folder=Path(self.daemon.config["cachedir"]) / "saltlick" / "locks", user="somebody")

    def command(self, *arguments: str) -> list[str]:
        return [str(BIN / "salt-run"), "-c", str(self.daemon.config_dir), "--log-level=quiet", *arguments]

    def run(self, *arguments: str, timeout_s: float = 240) -> Run:
        """`salt-run` beside the running master."""
        done = subprocess.run(
            self.command(*arguments), env=self.environ, capture_output=True, text=True, check=False, timeout=timeout_s
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def deploy(self, environment: str = "test", *more: str) -> Run:
        return self.run("state.orchestrate", "orch.deploy-environment", f"pillarenv={environment}", "--out=json", *more)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environ,
            text=True,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def minion(self, name: str, *, own: str = "", honest: bool = True, environment: str = "test") -> Minion:
        """A minion of that name in a folder of its own; an honest one's console shows its fingerprint."""
        nonce = boot_nonce(boot_secret(self.daemon.config), environment, name)
        master = {**self.daemon.config, "finger": self.finger, "nonce": nonce}
        made = Minion(name, self.folder / "minions" / (own or name), master, environment)
        self.minions[own or name] = made
        if honest:
            self.cloud.consoles[name] = made.boot_log
        return made

    @property
    def finger(self) -> str:
        from saltlick.salt_io.keys import master_finger

        return master_finger(self.daemon.config)

    def answers(self, *names: str) -> bool:
        """Whether these minions' keys are in and each answers a ping."""
        if not set(names) <= self.keys("accepted"):
            return False
        with LocalClient(mopts=dict(self.daemon.config)) as client:
            return set(client.cmd(list(names), "test.ping", tgt_type="list", timeout=10)) == set(names)

    def keys(self, state: str) -> set[str]:
        """Ids of the keys that are pending, accepted or denied."""
        there = {"pending": "minions_pre", "accepted": "minions", "denied": "minions_denied"}[state]
        return {path.name for path in (self.pki / there).glob("*")} if (self.pki / there).exists() else set()

    def eventually(self, look: Callable[[], Any], what: str, timeout_s: float = 240) -> Any:
        """What `look` says once it is true."""
        deadline = time.monotonic() + timeout_s
        while not (seen := look()):
            assert time.monotonic() < deadline, f"not seen in {timeout_s:.0f} s: {what}"
            time.sleep(0.1)
        return seen

    def configured(self, name: str) -> Path:
        return self.folder / f"configured-{name}"

    def before(self, name: str, script: str) -> None:
        """What that server does first when it is configured."""
        (self.folder / f"before-{name}").write_text(script)

    def pillar(self, name: str, text: str) -> None:
        (self.folder / "pillar" / name / "environment.sls").write_text(text)

    def reset(self) -> None:
        for path in [*self.folder.glob("configured-*"), *self.folder.glob("before-*")]:
            path.unlink()


def environment(name: str, ready_s: int = 90, highstate_s: int = 60) -> str:
    net = {"test": "10.20", "prod": "10.10"}[name]
    return ENVIRONMENT % {"name": name, "net": net, "ready_s": ready_s, "highstate_s": highstate_s}


def interrupt(run: subprocess.Popen[str]) -> str:
    """Ctrl-C, as a terminal sends it: to the whole foreground."""
    os.killpg(run.pid, signal.SIGINT)
    return run.communicate(timeout=120)[0]
