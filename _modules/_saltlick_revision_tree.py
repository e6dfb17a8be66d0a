"""The files of a commit, whole: what `git archive` leaves out, and what cannot be laid out. Sibling of `revision`."""

import os

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_revision_git as _git
    import _saltlick_revision_run as _run
except ImportError:
    from saltlick.modules import _saltlick_revision_git as _git
    from saltlick.modules import _saltlick_revision_run as _run

RESERVED = ("REVISION", "REVISION_TIME", ".saltlick.json", ".saltlick-bridged")
"""What Saltlick writes into a release's folder."""
LFS = "version https://git-lfs.github.com/spec/v1"
SHOWN = 5


def check(clone, sha, user, in_place=False):
    """
    Nothing for a commit that can be laid out whole.

    Raises:
        CommandExecutionError: it has submodules without an address, files that lie in Git LFS, or names that a release needs.
    """
    names = _names(clone, sha, user)
    if not in_place and (taken := sorted(set(RESERVED) & names.keys())):
        raise _refused(sha, f"has {_listed(taken)} of its own, which Saltlick writes into each release: rename it")
    links = [name for name, kind in names.items() if kind == "commit"]
    if astray := sorted(set(links) - set(_addresses(clone, sha, user))):
        raise _refused(
            sha, f"has the submodule {_listed(astray)} and no address of it in .gitmodules: add or remove it"
        )
    if pointers := _pointers(clone, sha, user):
        raise _refused(
            sha, f"keeps {_listed(pointers)} in Git LFS, which releases do not fetch: commit the files themselves"
        )


def lay_out(clone, repository, sha, fresh, user):
    """Put all files of a commit and of its submodules into an empty folder, without history, as old as the commit is."""
    _git.git(user, None, "clone", "--quiet", "--shared", "--no-checkout", str(clone), str(fresh))
    _git.git(user, fresh, "checkout", "--quiet", "--force", "--detach", sha)
    _update(fresh, repository, sha, user)
    _run.run(["find", str(fresh), "-name", ".git", "-prune", "-exec", "rm", "-rf", "{}", "+"], user)
    _age(fresh, int(_git.git(user, clone, "show", "--no-patch", "--format=%ct", sha)))


def check_out(clone, repository, sha, user):
    """Check a commit and its submodules out in a clone. Locks that a killed git left there are removed."""
    forget_locks(clone, user)
    _git.check_out(clone, sha, user)
    _update(clone, repository, sha, user)


def forget_locks(clone, user):
    """Remove what a killed git left locked. The application's folders are locked, and whoever works in them keeps that lock."""
    if (clone / ".git").exists():
        _run.run(["find", str(clone / ".git"), "-name", "*.lock", "-type", "f", "-exec", "rm", "-f", "{}", "+"], user)


def _update(tree, repository, sha, user):
    """Submodules as the commit has them. A repository on this machine may have submodules on this machine."""
    if not any(kind == "commit" for kind in _names(tree, sha, user).values()):
        return
    local = repository.startswith(("/", "file://"))
    how = ["-c", f"remote.origin.url={repository}", *(["-c", "protocol.file.allow=always"] if local else [])]
    _git.git(user, tree, *how, "submodule", "--quiet", "sync", "--recursive")
    _git.git(user, tree, *how, "submodule", "--quiet", "update", "--init", "--recursive", "--force")


def _names(clone, sha, user):
    """Every file of a commit with its kind: `blob`, or `commit` for a submodule."""
    listed = _git.git(user, clone, "ls-tree", "-r", "-z", "--full-tree", sha)
    return {name: head.split()[1] for head, name in (line.split("\t", 1) for line in listed.split("\0") if line)}


def _addresses(clone, sha, user):
    """The folders for which .gitmodules has an address."""
    ask = ["config", "--blob", f"{sha}:.gitmodules", "--null", "--get-regexp", r"^submodule\..*\.(path|url)$"]
    found = {}
    for entry in _git.git(user, clone, *ask, allowed=(0, 1, 128)).split("\0"):
        key, _, value = entry.partition("\n")
        found.setdefault(key.rpartition(".")[0], {})[key.rpartition(".")[2]] = value
    return [module["path"] for module in found.values() if module.get("path") and module.get("url")]


def _pointers(clone, sha, user):
    """Files of which the commit has only what Git LFS needs to fetch them."""
    if not _git.git(
        user, clone, "grep", "-l", "-e", "filter=lfs", sha, "--", ":(glob)**/.gitattributes", allowed=(0, 1)
    ):
        return []
    found = _git.git(user, clone, "grep", "-z", "-l", "-e", f"^{LFS}", sha, allowed=(0, 1))
    return sorted(name.partition(":")[2] for name in found.split("\0") if name)


def _age(folder, moment):
    """One age on every server: web servers tell files apart by it."""
    for _, folders, files, at in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            os.utime(name, (moment, moment), dir_fd=at, follow_symlinks=False)


def _refused(sha, why):
    return CommandExecutionError(f"{sha[:12]} {why}")


def _listed(names):
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
