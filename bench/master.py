"""A throw-away Salt master configuration of this checkout, and `salt-run` with it; no master runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("control", "prod", "test")
PRODUCTION = re.compile(r"^(\s*production:).*$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """How one process went."""

    code: int
    seconds: float
    memory_mb: float
    stdout: str
    stderr: str


def write_config(folder: Path, *, pillars: Path | None = None) -> Path:
    """Master configuration under `folder`, with a copy of the pillar in which nothing is marked production.

    `pillars` is another pillar tree, a folder per environment and perhaps `common`.
    """
    pillar = folder / "pillar"
    shutil.copytree(pillars or ROOT / "pillar", pillar)
    for file in pillar.rglob("*.sls"):
        file.write_text(PRODUCTION.sub(r"\1 false", file.read_text()))
    environments = sorted(path.parent.name for path in pillar.glob("*/environment.sls"))
    for cache in ("proc", "jobs"):  # a running master makes these; salt-run alone needs them
        (folder / "var/cache/salt/master" / cache).mkdir(parents=True)
    config = {
        "root_dir": str(folder),
        "conf_file": str(folder / "master"),
        "user": os.environ.get("USER", "root"),
        "module_dirs": [str(ROOT)],
        "file_roots": {"base": [str(ROOT / "salt")]},
        "pillar_roots": {name: [str(pillar / name), str(pillar / "common")] for name in environments},
        "log_level": "error",
        "log_level_logfile": "quiet",
    }
    (folder / "master").write_text(json.dumps(config, indent=2))
    return folder


def salt_run(config: Path, *arguments: str, environ: Mapping[str, str]) -> Run:
    """One `salt-run` as a whole process, from start to end, with its peak memory (its children's not counted)."""
    command = [str(Path(sys.executable).with_name("salt-run")), "-c", str(config), *arguments]
    return timed(command, environ)


def timed(command: list[str], environ: Mapping[str, str]) -> Run:
    started = time.monotonic()
    process = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        output: tuple[Any, Any] = _both(process)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    return Run(process.returncode, seconds, usage.ru_maxrss / 1024, *output)


def _both(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Read both pipes to their ends without reaping the process (its usage is wanted)."""
    from concurrent.futures import ThreadPoolExecutor

    assert process.stdout is not None
    assert process.stderr is not None
    with ThreadPoolExecutor(2) as pool:
        out, err = pool.map(lambda pipe: pipe.read().decode(), (process.stdout, process.stderr))
    return out, err
