"""A sandbox from the outside: up, down, status, a command in an instance. What the command line and the tests call."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import docker

from saltlick.errors import InvalidInput, SaltlickError
from saltlick.sandbox import access, conflicts, engine, git, image, packets, process
from saltlick.sandbox.api import MOTO
from saltlick.sandbox.docker_host import DockerHost
from saltlick.sandbox.faults import Faults
from saltlick.sandbox.settings import Settings

READY_TIMEOUT_S = 60


class Sandbox:
    """One sandbox. `report` gets a line per step; `repository` is the checkout that instances clone and install from."""

    def __init__(
        self, settings: Settings, report: Callable[[str], None] = lambda _line: None, repository: Path | None = None
    ) -> None:
        engine.complete_path()
        self.settings, self._report = settings, report
        self.repository = repository if repository is not None else checkout()
        self._pid_file = settings.directory / "hypervisor.pid"
        self._log = settings.directory / "hypervisor.log"

    # commands

    def up(self, faults: Faults | None = None) -> dict[str, Any]:
        """Start what is not running; what runs stays. Returns the status.

        Raises: SaltlickError saying in one sentence what is missing.
        """
        started = time.monotonic()
        with process.exclusive(self.settings.directory / "lock"):
            self.settings.save()
            access.ensure_key(self.settings.directory)
            self._report(engine.ensure(self.settings.directory))
            if not self.is_up():
                self._neighbours()
                self._clear()
                self._images()
                self._publish_all()
                self._start(faults)
            elif faults:
                self.faults(faults)
        self._report(f"AWS API at {self.settings.endpoint} ({time.monotonic() - started:.1f} s)")
        return self.status()

    def down(self) -> bool:
        """Remove every process, container, network and rule of this sandbox. Images stay. Returns whether it ran.

        The cloud's content is gone with it, as if every account were closed.
        """
        with process.exclusive(self.settings.directory / "lock"):
            ran = process.stop(self._pid_file)
            if engine.answers() and not self._is_namesakes():
                self._clear()
            if engine.release(self.settings.directory):
                self._report("dockerd stopped, as the sandbox had started it")
        return ran

    def is_up(self) -> bool:
        """Whether the hypervisor runs and answers."""
        return process.running(self._pid_file) is not None and self._answers()

    def status(self) -> dict[str, Any]:
        """Instances, load balancers, open passages, faults, problems. Raises: SaltlickError when it is not up."""
        return self._call("/_saltlick/status")

    def faults(self, faults: Faults) -> dict[str, Any]:
        """Inject these faults from now on."""
        return self._call("/_saltlick/faults", asdict(faults))

    def environment(self) -> dict[str, str]:
        """The variables that point boto3, the AWS CLI and Saltlick at this sandbox. Raises: SaltlickError when it has no key."""
        return {
            "AWS_ENDPOINT_URL": self.settings.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": access.read_key(self.settings.directory),
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def publish(self, name: str, source: Path) -> str:
        """Make `source` clonable in instances as http://git.saltlick.internal/<name>.git. Returns the SHA of `main`."""
        if git.dirty(source):
            self._report(f"{name}: changes in {source} that are not committed are not published")
        sha = git.publish(self.settings.git_root, name, source)
        self._report(f"http://git.saltlick.internal/{name}.git is {sha[:12]}")
        return sha

    def run(self, instance: str, command: Sequence[str], *, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """A command in an instance, named by its Name tag or id."""
        return subprocess.run(  # noqa: S603
            ["docker", "exec", self.container(instance), *command],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def shell(self, instance: str, command: Sequence[str]) -> int:
        """A shell, or a command, with this terminal's input and output. Returns its exit code."""
        terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        line = [
            "docker",
            "exec",
            "-i",
            *terminal,
            "-w",
            "/root",
            self.container(instance),
            *(command or ("bash", "-l")),
        ]
        return subprocess.run(line, check=False).returncode  # noqa: S603

    def logs(self, instance: str, *, follow: bool = False) -> int:
        """The console of an instance on this terminal."""
        options = ["--follow"] if follow else []
        return subprocess.run(["docker", "logs", *options, self.container(instance)], check=False).returncode  # noqa: S603, S607

    def container(self, instance: str) -> str:
        """The container of an instance. Raises: InvalidInput when there is none, or more than one of that name."""
        known = [i for i in self.status()["instances"] if i["container"] != "none"]
        matching = [i for i in known if instance in (i["id"], i["name"])]
        if len(matching) != 1:
            names = ", ".join(sorted(i["name"] for i in known)) or "none"
            raise InvalidInput(
                [f"{instance}: {len(matching)} instances of that name; there are: {names}"], what="instance"
            )
        return f"{self.settings.prefix}-{matching[0]['id']}"

    # steps

    def _neighbours(self) -> None:
        """Refuse to take a living sandbox's name; clear what dead ones left, which would keep their addresses for ever."""
        others = conflicts.neighbours(docker.from_env(), self.settings)
        conflicts.refuse_namesake(self.settings, others)
        for other in others:
            if not other.alive:
                self._report(f"the {other} is dead")
                self._remove(Settings(directory=other.directory, name=other.name))

    def _is_namesakes(self) -> bool:
        """Whether what has our name in Docker is another, living sandbox's."""
        others = conflicts.neighbours(docker.from_env(), self.settings)
        return any(other.alive for other in others if other.name == self.settings.name)

    def _clear(self) -> None:
        process.stop(self._pid_file)
        self._remove(self.settings)
        for folder in (self.settings.balancers, self.settings.consoles):
            shutil.rmtree(folder, ignore_errors=True)

    def _remove(self, settings: Settings) -> None:
        containers, networks = DockerHost(settings).clear()
        packets.remove(settings)
        if containers or networks:
            self._report(f"removed {containers} containers and {networks} networks")

    def _images(self) -> None:
        images = image.ensure(docker.from_env(timeout=1200), self._report, self.repository)
        (self.settings.directory / "images.json").write_text(json.dumps(images))

    def _publish_all(self) -> None:
        self.settings.git_root.mkdir(parents=True, exist_ok=True)
        if self.repository:
            self.publish("saltlick", self.repository)
            if (self.repository / "examples/app").is_dir():
                self.publish("app", self.repository / "examples/app")

    def _start(self, faults: Faults | None) -> None:
        command = [sys.executable, "-m", "saltlick.sandbox.serve", str(self.settings.directory)]
        # The hypervisor is AWS: nothing in its surroundings may send it looking for another one.
        clean = {"AWS_ENDPOINT_URL": "", "SALTLICK_SANDBOX_FAULTS": json.dumps(asdict(faults or Faults()))}
        process.start(self._pid_file, command, self._log, {**clean, **MOTO})
        process.wait_until(
            "starting the hypervisor",
            self._answers,
            lambda: engine.tail(self._log),
            timeout_s=READY_TIMEOUT_S,
            alive=self._pid_file,
        )

    def _answers(self) -> bool:
        """By its pid: another program, or another sandbox, may have the port."""
        try:
            return bool(self.status().get("pid") == process.running(self._pid_file))
        except SaltlickError:
            return False

    def _call(self, path: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        body = None if data is None else json.dumps(data).encode()
        known = access.HEADER.format(key=access.read_key(self.settings.directory))
        headers = {"Content-Type": "application/json", "Authorization": known}
        request = Request(self.settings.endpoint + path, data=body, headers=headers)  # noqa: S310
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
        except HTTPError as error:
            raise InvalidInput([error.read().decode()], what=path) from error
        except (URLError, OSError, ValueError) as error:
            raise SaltlickError(
                f"no sandbox answers at {self.settings.endpoint} ({error}): saltlick sandbox up"
            ) from error
        return answer


def checkout() -> Path | None:
    """The repository this package is run from, if it is run from one."""
    top = Path(__file__).resolve().parents[3]
    return top if (top / ".git").exists() and (top / "pyproject.toml").is_file() else None
