"""Cloud Custodian as a command, in a Python environment of its own: it pins each of its packages, boto3 too, to one version.

It is looked for where the master's configuration says, else beside this installation (`saltlick custodian` puts it there),
else among the commands of the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from saltlick.errors import CustodianFailed, InvalidInput, NotReady
from saltlick.offhours.policies import Policy, as_yaml

VERSION = "0.9.53"
LOCKED = Path(__file__).with_name("custodian-requirements.txt")
"""Each of its packages at one version, with the hashes of its files."""
BESIDE = Path(sys.prefix) / "custodian"
VALIDATE_S = 120.0
RUN_S = 900.0
INSTALL_S = 900.0
_CLOSED = ("--require-hashes", "--only-binary", ":all:")
_IDS = ("InstanceId", "DBInstanceIdentifier", "AutoScalingGroupName")
_NOT_INHERITED = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"})


def find(configured: str = "", *, beside: Path = BESIDE) -> Path:
    """The command.

    Raises: NotReady, with how to get it.
    """
    places = [Path(configured)] if configured else [beside / "bin/custodian", Path(shutil.which("custodian") or "/")]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return place
    reason = f"{configured} is not there" if configured else "it is not installed: `saltlick custodian` installs it"
    raise NotReady(f"Cloud Custodian: {reason}; nothing was touched")


def install(folder: Path = BESIDE, report: Callable[[str], None] = lambda text: None, *, locked: Path = LOCKED) -> Path:
    """Cloud Custodian in a Python environment of its own; again = nothing to do. Source: PyPI, 95 MB, about 20 s.

    Only files whose hashes are in `locked` are taken, and none that has to be built: whoever answers for PyPI can give no other.

    Raises: NotReady with the last lines of what went wrong.
    """
    command, stamp = folder / "bin/custodian", folder / f".{hashlib.sha256(locked.read_bytes()).hexdigest()[:16]}"
    if command.is_file() and stamp.exists():
        report(f"Cloud Custodian {VERSION} is there: {command}")
        return command
    report(f"installing Cloud Custodian {VERSION} into {folder}")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    _must([sys.executable, "-m", "venv", "--clear", *(["--without-pip"] if uv else []), str(folder)])
    python = str(folder / "bin/python")
    if uv:
        _must([uv, "pip", "install", "--quiet", "--python", python, *_CLOSED, "--requirement", str(locked)])
    else:
        _must([python, "-m", "pip", "install", "--quiet", "--no-compile", *_CLOSED, "--requirement", str(locked)])
    stamp.touch()
    return command


class CustodianCommand:
    """A `Custodian` over its command line. Credentials and endpoint are this process's own."""

    def __init__(self, command: Path, *, region: str, environment: str) -> None:
        self._command = command
        self._region = region
        self._environment = environment

    def validate(self, policies: Sequence[Policy]) -> None:
        with tempfile.TemporaryDirectory(prefix="saltlick-custodian-") as folder:
            done = self._call(["validate", self._file(folder, policies)], deadline_s=VALIDATE_S)
        if done.returncode:
            raise InvalidInput([_last_lines(done.stderr, 20)], what="Cloud Custodian refuses its policies")

    def run(self, policies: Sequence[Policy]) -> Mapping[str, tuple[str, ...]]:
        """Nothing is cached: what was looked at a quarter of an hour ago must not decide what is stopped now."""
        with tempfile.TemporaryDirectory(prefix="saltlick-custodian-") as folder:
            out = Path(folder) / "out"
            how = ["--region", self._region, "--cache-period", "0", "--output-dir", str(out)]
            done = self._call(["run", *how, self._file(folder, policies)], deadline_s=RUN_S)
            if done.returncode:
                raise CustodianFailed(f"Cloud Custodian: exit code {done.returncode}: {_last_lines(done.stderr, 6)}")
            return {str(policy["name"]): _acted_on(out / str(policy["name"])) for policy in policies}

    def _file(self, folder: str, policies: Sequence[Policy]) -> str:
        path = Path(folder) / "policies.yml"
        path.write_text(as_yaml(policies, self._environment), "utf-8")
        return str(path)

    def _call(self, arguments: Sequence[str], *, deadline_s: float) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - our own command, no shell
                [str(self._command), *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=deadline_s,
                env={key: value for key, value in os.environ.items() if key not in _NOT_INHERITED},
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise CustodianFailed(f"Cloud Custodian: `{arguments[0]}` not done in {deadline_s:g} s") from error
        except OSError as error:
            raise CustodianFailed(f"Cloud Custodian: {self._command} does not run: {error}") from error


def _acted_on(folder: Path) -> tuple[str, ...]:
    """Source: `resources.json` in the output folder of a policy: what passed its filters."""
    try:
        resources = json.loads((folder / "resources.json").read_text("utf-8"))
    except FileNotFoundError:
        return ()
    return tuple(str(resource[key]) for resource in resources for key in _IDS if key in resource)


def _must(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReady(f"Cloud Custodian could not be installed: {error}") from error
    if done.returncode:
        raise NotReady(f"Cloud Custodian could not be installed: {_last_lines(done.stderr + done.stdout, 8)}")


def _last_lines(text: str, count: int) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
