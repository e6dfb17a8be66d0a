"""From what people call a revision to the one commit that is meant. Sibling of `revision`."""

import re

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_revision_folders as _folders
    import _saltlick_revision_git as _git
    import _saltlick_revision_run as _run
except ImportError:
    from saltlick.modules import _saltlick_revision_folders as _folders
    from saltlick.modules import _saltlick_revision_git as _git
    from saltlick.modules import _saltlick_revision_run as _run

NAME = re.compile(r"(?!-|/|.*(\.\.|@\{|//|/\.))[^\x00-\x20\x7f~^:?*\[\\]+(?<![./])(?<!\.lock)")
"""What git takes as the name of a branch or a tag, and no command as an option."""
DIGITS = re.compile(r"[0-9a-fA-F]{4,64}")


def resolve(repository, rev, user, home):
    """The SHA of a branch, a tag or a commit; `home` is the application's folder, if there is one."""
    bare = _run.bare(repository)
    if not NAME.fullmatch(rev):
        raise CommandExecutionError(f"{rev!r} is not the name of a revision: give a branch, a tag or a commit")
    if home and _folders.SHA.fullmatch(rev) and _git.has(home / "source", rev, user):
        return rev
    named = _named(repository, rev, user)
    if len(set(named.values())) > 1:
        meanings = " and ".join(f"{name} ({sha[:12]})" for name, sha in named.items())
        raise CommandExecutionError(f"{rev} is ambiguous in {bare}: {meanings}; give one of these names")
    if named:
        return next(iter(named.values()))
    commits = _abbreviated(repository, rev.lower(), user, home) if DIGITS.fullmatch(rev) else []
    if len(commits) > 1:
        first = ", ".join(sha[:12] for sha in commits[:5])
        raise CommandExecutionError(f"{rev} is ambiguous in {bare}: {len(commits)} commits begin so ({first})")
    if not commits:
        raise CommandExecutionError(f"{bare} has no branch, tag or commit {rev}")
    return commits[0]


def _named(repository, rev, user):
    """Which refs of a repository a name can mean, with the commit of each."""
    lines = _git.git(user, None, "ls-remote", repository).splitlines()
    listed = dict(reversed(line.split("\t", 1)) for line in lines)
    wanted = [rev] if rev == "HEAD" or rev.startswith("refs/") else [f"refs/tags/{rev}", f"refs/heads/{rev}"]
    return {name: listed.get(f"{name}^{{}}", listed[name]) for name in wanted if name in listed}


def _abbreviated(repository, digits, user, home):
    """The commits whose ids begin with these digits, as the clone has them, or else as the repository has them."""
    if home is None:
        with _git.somewhere(user) as clone:
            _git.fetch(clone, repository, user)
            return _git.commits(clone, digits, user)
    clone = _folders.made(home, user) / "source"
    if not (commits := _git.commits(clone, digits, user)):
        with _folders.locked(home):
            _git.fetch(clone, repository, user)
        commits = _git.commits(clone, digits, user)
    return commits
