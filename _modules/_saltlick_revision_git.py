"""Commits, branches and tags as git tells them, in a clone or on a plain web server. Sibling of `revision`."""

import contextlib
import tempfile
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_revision_run as _run
except ImportError:
    from saltlick.modules import _saltlick_revision_run as _run


@contextlib.contextmanager
def somewhere(user):
    with tempfile.TemporaryDirectory(prefix="saltlick-revision-") as folder:
        _run.give(folder, user)
        yield Path(folder)


def commits(clone, digits, user):
    if not (clone / ".git").exists():
        return []
    objects = git(user, clone, "rev-parse", f"--disambiguate={digits}", allowed=(0, 128))
    kinds = git(user, clone, "cat-file", "--batch-check", given=objects) if objects.strip() else ""
    return [words[0] for words in map(str.split, kinds.splitlines()) if words[1:2] == ["commit"]]


def check_out(clone, sha, user):
    """On a branch of our own: Salt's git.latest fails on a detached HEAD."""
    git(user, clone, "checkout", "--quiet", "--force", "--no-track", "-B", "saltlick", sha)


def head(clone):
    """What is checked out; empty when nothing is."""
    return git(None, clone, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1, 128)).strip()


def has(clone, sha, user):
    return sha in commits(clone, sha, user)


def obtain(clone, repository, sha, user):
    """A clone that has the commit."""
    if not has(clone, sha, user):
        fetch(clone, repository, user)
        if not has(clone, sha, user):
            raise CommandExecutionError(f"{_run.bare(repository)} has no commit {sha}")
    if not head(clone):  # git.latest of the formula could not go on from a clone in which nothing was ever checked out
        check_out(clone, sha, user)


def fetch(clone, repository, user):
    """All branches and tags. Plain HTTP servers give neither a single commit nor a shallow history."""
    if not (clone / ".git").exists():
        git(user, clone, "init", "--quiet")
    whole = ["--unshallow"] if (clone / ".git" / "shallow").exists() else ["--update-shallow"]
    branches, tags = "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"
    how = ["-c", "gc.autoDetach=false", "fetch", "--quiet", "--force", "--prune", *whole]
    git(user, clone, *how, repository, branches, tags)


def git(user, folder, *arguments, allowed=(0,), given=""):
    """What git prints. Run by another than the clone's owner it would refuse, unless told that this one is meant."""
    place = ["-c", f"safe.directory={folder}", "-C", str(folder)] if folder else []
    return _run.run(["git", *place, *arguments], user, allowed, given)
