"""A master's configuration of this checkout in a folder of its own, and `salt-run` with it. No master runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
SALT_RUN = Path(sys.executable).with_name("salt-run")
REGION = "us-east-1"


@dataclass(frozen=True)
class Run:
    """One `salt-run` from start to end."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass
class Master:
    """A folder with a master's configuration and pillar; nothing runs."""

    folder: Path
    endpoint: str = "http://127.0.0.1:1"

    @property
    def opts(self) -> dict[str, Any]:
        import salt.config

        return salt.config.master_config(str(self.folder / "master"))

    @property
    def environ(self) -> dict[str, str]:
        own = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
        }
        return {**os.environ, **own}

    def command(self, *arguments: str) -> list[str]:
        return [str(SALT_RUN), "-c", str(self.folder), *arguments]

    def run(self, *arguments: str, timeout_s: float = 120) -> Run:
        """`salt-run` with this configuration."""
        done = subprocess.run(
            self.command(*arguments), env=self.environ, capture_output=True, text=True, check=False, timeout=timeout_s
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def call(self, function: str, *arguments: str) -> dict[str, Any]:
        """A runner in this process, as an orchestration or the API calls it: its full return. Quicker than `run`."""
        import salt.runner

        client = salt.runner.RunnerClient(self.opts)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environ.items():
                patch.setenv(name, value)
            try:
                return client.cmd(function, list(arguments), print_event=False, full_return=True)
            finally:
                client.destroy()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, not waited for."""
        return subprocess.Popen(
            self.command(*arguments), env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def pillar(self, environment: str, text: str) -> None:
        """Give an environment a pillar, in place of the one it has."""
        folder = self.folder / "pillar" / environment
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "environment.sls").write_text(text)
        self.write()

    def sls(self, name: str, text: str) -> None:
        """A state file to orchestrate."""
        (self.folder / "srv" / f"{name}.sls").write_text(text)

    def write(self) -> None:
        """The configuration, from what pillar there is."""
        pillar = self.folder / "pillar"
        names = sorted(path.parent.name for path in pillar.glob("*/environment.sls"))
        roots = {name: [str(pillar / name), str(pillar / "common")] for name in names}
        config = {
            "root_dir": str(self.folder),
            "sock_dir": "/s",  # below root_dir: Salt puts that before it, but not before a path it finds too long
            "user": os.environ.get("USER", "root"),
            "module_dirs": [str(CHECKOUT)],
            "file_roots": {"base": [str(self.folder / "srv")]},
            "pillar_roots": roots,
            "log_level": "error",
            "log_level_logfile": "quiet",
        }
        (self.folder / "master").write_text(json.dumps(config))


def empty_master(folder: Path, endpoint: str) -> Master:
    """The folders that a running master would make, without pillar."""
    for cache in ("proc", "jobs"):  # a running master makes these; salt-run alone needs them
        (folder / "var/cache/salt/master" / cache).mkdir(parents=True)
    (folder / "srv").mkdir()
    return Master(folder, endpoint)
