"""Where a sandbox lives and which names, ports and addresses it uses."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

from saltlick.errors import InvalidInput

LABEL, DIRECTORY = "saltlick.sandbox", "saltlick.directory"
"""Of every object in Docker: whose it is, by name and by the folder with the pid of the process behind it."""
METADATA_ADDRESS = "169.254.169.254"
RESOLVER_ADDRESS = "169.254.169.253"
INTERNAL_ADDRESS = "169.254.169.252"
AWS_HOST = "aws.saltlick.internal"
GIT_HOST = "git.saltlick.internal"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One sandbox. Several can run side by side when name, port, `internet` and the CIDRs of their VPCs differ."""

    directory: Path
    name: str = "main"
    port: int = 4566
    internet: str = "198.51.100.0/24"

    def __post_init__(self) -> None:
        problems = []
        if not _NAME.fullmatch(self.name):
            problems.append(f"name: {self.name!r} is not 1 to 12 lower case letters, digits and dashes, letter first")
        if not 1024 <= self.port <= 65000:
            problems.append(f"port: {self.port} is not between 1024 and 65000")
        try:
            if IPv4Network(self.internet).num_addresses < 32:
                problems.append(f"internet: {self.internet} is too small")
        except ValueError as error:
            problems.append(f"internet: {error}")
        if problems:
            raise InvalidInput(problems, what="sandbox settings")

    @property
    def metadata_port(self) -> int:
        return self.port + 1

    @property
    def internal_port(self) -> int:
        return self.port + 2

    @property
    def resolver_port(self) -> int:
        return self.port + 3

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def prefix(self) -> str:
        return f"saltlick-{self.name}"

    @property
    def git_root(self) -> Path:
        return self.directory / "git"

    @property
    def consoles(self) -> Path:
        return self.directory / "consoles"

    @property
    def balancers(self) -> Path:
        return self.directory / "balancers"

    def save(self) -> None:
        """Leave the settings where `status`, `shell` and `down` find them."""
        self.directory.mkdir(parents=True, exist_ok=True)
        data = {**asdict(self), "directory": str(self.directory)}
        (self.directory / "settings.json").write_text(json.dumps(data, indent=2) + "\n")


def default_directory() -> Path:
    """$SALTLICK_SANDBOX_DIR, or .saltlick/sandbox below the current folder."""
    return Path(os.environ.get("SALTLICK_SANDBOX_DIR") or ".saltlick/sandbox").resolve()


def load(directory: Path) -> Settings:
    """The settings the sandbox in `directory` was last started with, or the defaults."""
    try:
        data = json.loads((directory / "settings.json").read_text())
    except FileNotFoundError:
        return Settings(directory=directory)
    return Settings(**{**data, "directory": directory})
