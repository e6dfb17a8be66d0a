"""Writes `custodian-requirements.txt`: Cloud Custodian's packages with their hashes, for every Python that Saltlick runs on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from saltlick.offhours.custodian import LOCKED, VERSION

PROJECT = """[project]
name = "custodian-of-saltlick"
version = "0"
requires-python = ">=3.10.2,<3.14"
dependencies = ["c7n=={version}"]
"""
HEAD = """# Cloud Custodian with everything that it needs, for Python 3.10 to 3.13.
# pip takes these files and no other (--require-hashes).
# Made by `make custodian-lock`.
"""
HOW = ("--quiet", "--universal", "--generate-hashes", "--only-binary", ":all:", "--no-header", "--no-annotate")


def main() -> None:
    """Ask the index, and write the file."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "pyproject.toml"
        project.write_text(PROJECT.format(version=VERSION))
        done = subprocess.run(  # noqa: S603
            [uv, "pip", "compile", *HOW, "--python-version", "3.10.2", str(project)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    LOCKED.write_text(HEAD + done.stdout)


if __name__ == "__main__":
    main()
