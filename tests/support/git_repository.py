"""A git repository for tests: commits of given files, served as plain files."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Any

ABSENT = "0" * 39 + "1"
"""A commit that no repository has."""


class Repository:
    """A bare repository, and the address of a web server that knows nothing of git."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
        self.tips: dict[str, str] = {}

    def git(self, *words: str, given: str = "") -> str:
        fixed = {"NAME": "t", "EMAIL": "t@t", "DATE": "2020-01-01T00:00:00Z"}  # the same commits each time
        who = {f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in fixed.items()}
        environment = {**os.environ, **who, "GIT_DIR": str(self.folder)}
        done = subprocess.run(["git", *words], input=given, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.strip()

    def commit(self, branch: str = "main", **files: str) -> str:
        """One commit on a branch that holds these files and no others; `__` in a name stands for a folder, `_` for a dot."""
        entries: dict[str, Any] = {}
        for name, text in files.items():
            *folders, last = name.replace("__", "/").split("/")
            place = functools.reduce(lambda inner, part: inner.setdefault(part, {}), folders, entries)
            place[last.replace("_", ".")] = text
        parent = ["-p", self.tips[branch]] if branch in self.tips else []
        sha = self.git("commit-tree", self._tree(entries), *parent, given=f"{branch} {files}")
        self.tips[branch] = sha
        self.git("update-ref", f"refs/heads/{branch}", sha)
        self.publish()
        return sha

    def tag(self, name: str, sha: str, annotated: bool = False) -> None:
        self.git("tag", *(["-a", "-m", name] if annotated else []), name, sha)
        self.publish()

    def publish(self) -> None:
        self.git("repack", "-adq")
        self.git("update-server-info")

    def _tree(self, entries: dict[str, Any]) -> str:
        lines = [
            f"040000 tree {self._tree(what)}\t{name}" if isinstance(what, dict)
            else f"100644 blob {self.git('hash-object', '-w', '--stdin', given=what)}\t{name}"
            for name, what in entries.items()
        ]  # fmt: skip
        return self.git("mktree", given="\n".join(lines) + "\n")


def release_states(revision: Any, home: Path) -> dict[str, str]:
    """State of every release in a home, by SHA."""
    return {release["sha"]: release["state"] for release in revision("list", str(home))}
