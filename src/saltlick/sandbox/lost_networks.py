"""Networks that Docker holds and no longer lists, because it was killed while it made them.

Their addresses stay taken over every start of Docker, and no command of Docker removes them: its own list has to go.
Run as `python -m saltlick.sandbox.lost_networks`: prints the path of that list and the bridges to delete with it, for
whoever may stop Docker; nothing when there is nothing to do, or when networks of others would be lost.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import docker

from saltlick.errors import SaltlickError
from saltlick.sandbox import conflicts

INTERFACES = Path("/sys/class/net")
DEFAULT_NETWORKS = frozenset({"bridge", "host", "none"})
LISTED_AFTER_S = 2.0
_MADE = re.compile(r"br-[0-9a-f]{12}|sl-.{1,12}")


def lost(
    client: docker.DockerClient, interfaces: Path = INTERFACES, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """The bridges on this machine that Docker or a sandbox made and that belong to no network that Docker lists.

    Looked at twice: a network that is being made has its bridge before it is listed.
    """
    if first := _unlisted(client, interfaces):
        sleep(LISTED_AFTER_S)
        return sorted(first & _unlisted(client, interfaces))
    return []


def bridges(interfaces: Path = INTERFACES) -> list[str]:
    """All bridges that Docker or a sandbox made: none of them belongs to anything when Docker's list is gone."""
    return sorted(i.name for i in interfaces.glob("*") if _MADE.fullmatch(i.name) and (i / "bridge").exists())


def removable(
    client: docker.DockerClient, interfaces: Path = INTERFACES, sleep: Callable[[float], None] = time.sleep
) -> Path | None:
    """Docker's list of networks, if it hides one and nobody but us would miss any other; else None."""
    if not lost(client, interfaces, sleep):
        return None
    names = {str(network["Name"]) for network in client.api.networks()} - DEFAULT_NETWORKS
    return _list_of(client) if all(name.startswith("saltlick-") for name in names) else None


def refuse(
    client: docker.DockerClient, interfaces: Path = INTERFACES, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Raises: SaltlickError saying how to get rid of them, when there are any."""
    if found := lost(client, interfaces, sleep):
        remove = (
            f"rm {_list_of(client)}; for bridge in {' '.join(bridges(interfaces))}; do ip link delete $bridge; done"
        )
        raise SaltlickError(
            "Docker was killed while it made a network, and keeps the addresses of that network without listing it "
            f"({', '.join(found)}). Stop Docker, run as root: {remove}; and start Docker again. "
            "All its networks are gone then: create those anew that you made yourself."
        )


def forget(network_list: Path) -> None:
    """Remove Docker's list and the bridges of what it had. For when Docker is stopped."""
    network_list.unlink(missing_ok=True)
    for name in bridges():
        subprocess.run(["ip", "link", "delete", name], check=True, capture_output=True)  # noqa: S603, S607


def _list_of(client: docker.DockerClient) -> Path:
    return Path(client.info()["DockerRootDir"]) / "network/files/local-kv.db"


def _unlisted(client: docker.DockerClient, interfaces: Path) -> set[str]:
    return {*bridges(interfaces)} - {conflicts.bridge_of(network) for network in client.api.networks()}


if __name__ == "__main__":
    if found := removable(docker.from_env(timeout=20)):
        print(found, *bridges())  # noqa: T201
