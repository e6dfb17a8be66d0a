"""Git repositories for instances: bare clones below one folder, served as plain files at http://git.saltlick.internal."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from saltlick.errors import SaltlickError

_FIXED = {
    "GIT_AUTHOR_NAME": "Saltlick",
    "GIT_AUTHOR_EMAIL": "sandbox@saltlick.invalid",
    "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "Saltlick",
    "GIT_COMMITTER_EMAIL": "sandbox@saltlick.invalid",
    "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
    # The checkout may belong to another user than the sandbox's.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


def publish(root: Path, name: str, source: Path) -> str:
    """Make `source` clonable as http://git.saltlick.internal/<name>.git, branch `main`. Returns the SHA published.

    A repository is published as committed (its HEAD becomes `main`; other branches and tags come along); a plain folder
    is committed on top of what was published before, so that the same content has the same SHA. A folder inside a
    repository that is not its top counts as plain.

    Raises: SaltlickError when git fails, with what it said.
    """
    bare = root / f"{name}.git"
    if not (bare / "HEAD").exists():
        bare.mkdir(parents=True, exist_ok=True)
        _git(bare, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    if _is_repository(source):
        _fetch(bare, source)
    else:
        _commit(bare, source)
    _git(bare, "repack", "-adq")
    _git(bare, "update-server-info")
    return _git(bare, "rev-parse", "refs/heads/main")


def _is_repository(source: Path) -> bool:
    return (source / ".git").exists() or (source / "HEAD").is_file()


def _fetch(bare: Path, source: Path) -> None:
    refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    _git(bare, "fetch", "--quiet", "--update-head-ok", "--prune", str(source), *refs)
    _git(bare, "fetch", "--quiet", "--update-head-ok", str(source), "+HEAD:refs/heads/main")


def _commit(bare: Path, source: Path) -> None:
    tree_of = {"GIT_WORK_TREE": str(source), "GIT_INDEX_FILE": str(bare / "saltlick.index")}
    (bare / "saltlick.index").unlink(missing_ok=True)
    _git(bare, "add", "--all", "--force", ".", cwd=source, environment=tree_of)
    tree = _git(bare, "write-tree", environment=tree_of)
    parent = _maybe(bare, "rev-parse", "--verify", "--quiet", "refs/heads/main")
    if parent and _git(bare, "rev-parse", f"{parent}^{{tree}}") == tree:
        return
    lineage = ["-p", parent] if parent else []
    commit = _git(bare, "commit-tree", tree, *lineage, "-m", f"Content of {source.name}")
    _git(bare, "update-ref", "refs/heads/main", commit)


def dirty(source: Path) -> bool:
    """Whether a checkout holds changes that are not committed, and so will not be published."""
    return _is_repository(source) and bool(_maybe(source / ".git", "status", "--porcelain", cwd=source))


def _git(
    repository: Path, *arguments: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    done = _run(repository, arguments, cwd, environment)
    if done.returncode:
        raise SaltlickError(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _maybe(repository: Path, *arguments: str, cwd: Path | None = None) -> str:
    done = _run(repository, arguments, cwd, None)
    return done.stdout.strip() if done.returncode == 0 else ""


def _run(
    repository: Path, arguments: tuple[str, ...], cwd: Path | None, environment: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        cwd=cwd or repository,
        env={**os.environ, **_FIXED, "GIT_DIR": str(repository), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
