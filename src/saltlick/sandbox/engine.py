"""A container engine that runs: the one there is, or the one we start where Docker is installed but its service is not up."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import docker
from docker.errors import DockerException

from saltlick.errors import SaltlickError
from saltlick.sandbox import lost_networks, process

MISSING = (
    "Docker is missing: the sandbox boots its instances as containers. "
    "Install it (Debian and Ubuntu: apt-get install docker.io iptables iproute2) and try again."
)
NOT_RUNNING = (
    "Docker is installed, but its service does not run and only root may start it: sudo systemctl start docker"
)
NOT_ROOT = "The sandbox sets packet filter rules, so it must run as root: try again with sudo."
DESKTOP = "Docker Desktop keeps its containers in a hidden virtual machine that the sandbox cannot route to: use Docker on Linux."


def answers() -> bool:
    try:
        client = docker.from_env(timeout=20)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


def complete_path() -> None:
    """dockerd and iptables are in folders that not every account searches."""
    missing = [folder for folder in ("/usr/sbin", "/sbin") if folder not in os.environ.get("PATH", "").split(":")]
    os.environ["PATH"] = ":".join([os.environ.get("PATH", "/usr/bin:/bin"), *missing])


def why_not() -> str | None:
    """In one sentence what is missing before a sandbox can run here; None when nothing is."""
    complete_path()
    if not (shutil.which("dockerd") or answers()):
        return MISSING
    if os.geteuid() != 0:
        return NOT_ROOT if answers() else NOT_RUNNING
    tools = {"docker": "docker-cli", "iptables-restore": "iptables", "ip": "iproute2", "git": "git"}
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    if missing:
        return f"Something the sandbox calls is missing (Debian and Ubuntu: apt-get install {' '.join(missing)})."
    return None


def ensure(directory: Path) -> str:
    """Make sure an engine answers. Returns a line to print.

    Raises: SaltlickError with one sentence saying what is missing.
    """
    if problem := why_not():
        raise SaltlickError(problem)
    started = not answers()
    if started:
        _start(directory)
        if network_list := lost_networks.removable(docker.from_env()):
            release(directory)
            lost_networks.forget(network_list)
            _start(directory)
    lost_networks.refuse(docker.from_env())
    info = docker.from_env().info()
    if "Docker Desktop" in info.get("OperatingSystem", ""):
        raise SaltlickError(DESKTOP)
    origin = "started by the sandbox" if started else "was running"
    return f"Docker {info['ServerVersion']} ({origin}, cgroup v{info.get('CgroupVersion', '1')})"


def _start(directory: Path) -> None:
    pid_file, log = directory / "dockerd.pid", directory / "dockerd.log"
    process.start(pid_file, ["dockerd"], log)
    process.wait_until("starting dockerd", answers, lambda: tail(log), timeout_s=60, alive=pid_file)


def release(directory: Path) -> bool:
    """Stop the engine if it is we who started it."""
    return process.stop(directory / "dockerd.pid", timeout_s=60)


def tail(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(nothing)"
