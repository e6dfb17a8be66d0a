"""Keep revisions of an application in folders of their own, and say which of them is current.

The layout is the one of Saltlick's formula `app`; either can go on where the other stopped::

    <directory>/source                  a clone, checked out by nobody but `checkout` and the formula
    <directory>/releases/<sha>/         one revision, without history
    <directory>/releases/<sha>/REVISION written last: a folder without it is a build that was interrupted
    <directory>/shared/                 what all revisions have in common: a link to it in each
    <directory>/current -> releases/<sha>

What is known of a release stands in `.saltlick.json` in its folder. `<directory>` is the minion's own, `source` and what is below
`releases` belong to the application's user; whatever runs code of the repository runs as that user, and nothing here follows
a symbolic link that lies there.

In every function `directory` is the application's folder, an absolute path; `sha` a commit, all of its digits; `repository`
an address that git can fetch from, dumb HTTP too; `user` whose the files are and who runs git, the minion's own user when None.
`prepare` and `checkout` make the folder when it is not there.

Needs Salt and the standard library only, so a plain module sync carries it, with the helpers that lie beside it.
"""

import os
import sys
import time
from pathlib import Path

from salt.exceptions import CommandExecutionError

# Loaded anew after a sync, in a process that lives on, this file would get the helpers of before: Python keeps them by name.
for _helper in [name for name in sys.modules if name.startswith(("_saltlick_revision_", "_saltlick_user_"))]:
    sys.modules.pop(_helper, None)
try:  # Beside this file first, as Salt's loader has it: an installed wheel may be another version.
    import _saltlick_revision_files as _files
    import _saltlick_revision_folders as _folders
    import _saltlick_revision_git as _git
    import _saltlick_revision_names as _names
    import _saltlick_revision_tree as _tree
except ImportError:
    from saltlick.modules import _saltlick_revision_files as _files
    from saltlick.modules import _saltlick_revision_folders as _folders
    from saltlick.modules import _saltlick_revision_git as _git
    from saltlick.modules import _saltlick_revision_names as _names
    from saltlick.modules import _saltlick_revision_tree as _tree

__func_alias__ = {"list_": "list"}

LOG = "/var/log/saltlick/releases.log"


def resolve(repository, rev, user=None, directory=None, in_place=False):
    """
    Find the one commit that a revision names. Changes nothing but the clone's knowledge of its repository.

    With a directory, the clone has the commit afterwards, and what cannot be laid out whole is refused: before a server is
    taken out of traffic for it.

    rev
        branch, tag, commit or the first 4 or more digits of one; annotated tags are followed to their commit
    directory
        its `source` is the clone that knows commits; without one, a clone is made and thrown away when the revision is neither
        branch nor tag
    in_place
        the commit is for ``checkout``, where it may have files of any name

    Returns the SHA, all of its digits.

    Raises:
        CommandExecutionError: there is no such revision, or more than one, or it cannot be laid out, or git fails; in one
            sentence.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.resolve http://git.saltlick.internal/app.git f5d9859 user=app directory=/srv/app
    """
    if not directory:
        return _names.resolve(repository, str(rev), user, None)
    home = _folders.made(directory, user)
    sha = _names.resolve(repository, str(rev), user, home)
    with _folders.locked(home):
        _obtained(home, repository, sha, user, in_place)
    return sha


def prepare(directory, repository, sha, user=None, bridge=(), release="", anew=False, shared=()):
    """
    Lay out a revision in ``releases/<sha>``, ready to be built; nothing that runs is touched. All files of the commit are there,
    those of its submodules too.

    A complete folder is left as it is, and so is one that this very release laid out before; any other is an interrupted build
    and is made anew. Calls at the same time take turns.

    bridge
        folders inside the release, such as ``static``, into which ``built`` takes over what the current release has and
        the new one lacks: pages of the old one go on finding their files
    release
        id of the release this is done for
    anew
        make a complete folder anew too; the current one never
    shared
        files and folders (``uploads/``) inside the release that are links to ``<directory>/shared``, so that all revisions have
        the same ones; what the revision has by that name is not used

    Returns ``{"folder": "/srv/app/releases/…", "sha": "…", "state": "prepared", "changed": True, "seconds": 0.4}``;
    `state` is ``built`` when nothing needs to be built any more.

    Raises:
        CommandExecutionError: no such commit, one that cannot be laid out whole, git fails, or the folder is the current one
            and incomplete; a shared file is not there.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.prepare /srv/app http://git.saltlick.internal/app.git f5d9859c… user=app
    """
    _folders.check(sha)
    started = time.time()
    home = _folders.made(directory, user)
    with _folders.locked(home):
        names = _files.words(shared)
        state = _folders.prepared_before(home, sha, release, started, anew, names)
        if not state:
            _obtained(home, repository, sha, user)
            record = {"state": "prepared", "release": release, "bridge": _files.words(bridge)}
            _folders.lay_out(home, repository, sha, user, record, names)
    return {
        "folder": str(home / "releases" / sha),
        "sha": sha,
        "state": state or "prepared",
        "changed": not state,
        "seconds": round(time.time() - started, 3),
    }


def built(directory, sha, bridge=(), release=""):
    """
    Declare a prepared folder complete: takes over bridged files, then writes REVISION_TIME and, last of all, REVISION.

    bridge
        folders as for ``prepare``, in addition to those named there
    release
        id of the release this is done for

    Returns ``{"folder": "/srv/app/releases/…", "changed": True, "bridged": 12}``.

    Raises:
        CommandExecutionError: there is no such folder.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.built /srv/app f5d9859c…
    """
    folder = _folders.release(directory, sha)
    if _folders.complete(folder):
        return {"folder": str(folder), "changed": False, "bridged": 0}
    if not _files.is_folder(folder):
        raise CommandExecutionError(f"{folder} does not exist: revision.prepare makes it")
    now = current(directory)
    names = dict.fromkeys([*_folders.known(folder).get("bridge", ()), *_files.words(bridge)])
    bridged = [file for name in names for file in _files.bridge(folder.with_name(now), folder, name)] if now else []
    if bridged:
        _files.write(folder, _files.BRIDGED, "".join(f"{file}\n" for file in bridged))
    _folders.record_facts(folder, state="built", built=time.time(), **({"release": release} if release else {}))
    _files.write(folder, "REVISION_TIME", f"{_folders.utc()}\n")
    _files.write(folder, "REVISION", f"{sha}\n")
    return {"folder": str(folder), "changed": True, "bridged": len(bridged)}


def activate(directory, sha):
    """
    Make a complete release the current one, in one indivisible step: at each moment `current` is either the old or the new one.

    Returns ``{"previous": "…", "current": "…", "changed": True}``; `previous` is empty when there was none, and that of the
    switch before when nothing had to be changed.

    Raises:
        CommandExecutionError: the release is not complete, or `current` is no symbolic link.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-1' revision.activate /srv/app f5d9859c…
    """
    folder = _folders.release(directory, sha)
    if not _folders.complete(folder):
        why = "no REVISION in it" if _files.is_folder(folder) else "absent"
        raise CommandExecutionError(f"{folder} is not complete ({why})")
    before = current(directory)
    if before == sha:
        previous = next((entry["sha"] for entry in list_(directory) if entry["previous"]), "")
        return {"previous": previous, "current": sha, "changed": False}
    _folders.switch(_folders.home(directory), sha)
    return {"previous": before, "current": sha, "changed": True}


def current(directory, in_place=False):
    """
    Say which revision is current.

    in_place
        look at what is checked out in `source` instead of where `current` points

    Returns the SHA; empty when there is none.

    Raises:
        CommandExecutionError: the directory is not an absolute path.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.current /srv/app
    """
    home = _folders.home(directory)
    return _git.head(home / "source") if in_place else _folders.current(home)


def checkout(directory, repository, sha, user=None):
    """
    Check a revision out in ``source``, in place: for applications that are built where they run. What git does not know stays.

    Returns ``{"previous": "…", "current": "…", "changed": True}``.

    Raises:
        CommandExecutionError: no such commit, or git fails.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-1' revision.checkout /srv/plone http://git.saltlick.internal/plone.git f5d9859c… user=plone
    """
    _folders.check(sha)
    home = _folders.made(directory, user)
    with _folders.locked(home):
        before = current(directory, in_place=True)
        _obtained(home, repository, sha, user, in_place=True)
        _tree.check_out(home / "source", repository, sha, user)
    return {"previous": before, "current": sha, "changed": before != sha}


def list_(directory):
    """
    List the releases on this server, those last in use first.

    Returns a list of ``{"sha": "…", "time": "2026-11-22T10:00:00Z", "state": "good", "release": "…", "current": True,
    "previous": False}``. States: ``good`` (marked so, or built by the formula), ``failed``, ``built`` (complete, not yet
    judged), ``unfinished``. `previous` is the one that was current before, failed ones left out of account.

    Raises:
        CommandExecutionError: the directory is not an absolute path.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.list /srv/app
    """
    return _folders.listed(_folders.home(directory))


def mark(directory, sha, good=True, release=""):
    """
    Note how a release came out: only good ones count for `keep` of ``prune``.

    good
        False: it failed
    release
        id of the release

    Returns ``{"sha": "…", "state": "good"}``; the state is ``absent`` when there is no folder to mark as failed.

    Raises:
        CommandExecutionError: a release that is not complete cannot be good.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.mark /srv/app f5d9859c… good=False
    """
    folder = _folders.release(directory, sha)
    if good and not _folders.complete(folder):
        raise CommandExecutionError(f"{folder} is not complete, so it cannot be good")
    if not _files.is_folder(folder):
        return {"sha": sha, "state": "absent"}
    state = "good" if good else "failed"
    _folders.record_facts(folder, state=state, marked=time.time(), **({"release": release} if release else {}))
    return {"sha": sha, "state": state}


def prune(directory, keep=5, protect=()):
    """
    Remove releases that nobody goes back to: failed and unfinished ones, and good ones beyond the last `keep`.

    The current one, the one before it and protected ones always stay, whatever they are.

    keep
        how many good ones stay, the current one included
    protect
        SHAs, or first digits of them, that stay

    Returns ``{"removed": ["…"], "kept": ["…"]}``.

    Raises:
        CommandExecutionError: `keep` is less than 1.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.prune /srv/app keep=3
    """
    if int(keep) < 1:
        raise CommandExecutionError(f"keep is {keep}: at least 1 release stays")
    home = _folders.home(directory)
    if not _files.is_folder(home / "releases"):
        return {"removed": [], "kept": []}
    with _folders.locked(home):
        return _folders.prune(home, int(keep), _files.words(protect))


def free(directory):
    """
    Say how much room there is where releases go; the folder need not be there yet.

    Returns whole MB (2**20 bytes) that are free to ordinary users.

    Raises:
        CommandExecutionError: the directory is not an absolute path.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.free /srv/app
    """
    place = _folders.home(directory)
    while not place.exists():
        place = place.parent
    room = os.statvfs(place)
    return room.f_bavail * room.f_frsize // 2**20


def note(line, log=LOG):
    """
    Append one line, with the time in front, to this server's log of releases.

    line
        what happened; line breaks in it become spaces
    log
        the file; made, with its folder, when it is not there

    Returns the line as written.

    Raises:
        OSError: it cannot be written.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.note 'f5d9859 is current, by alice'
    """
    text = f"{_folders.utc()} {' '.join(str(line).split())}"
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, f"{text}\n".encode())
    finally:
        os.close(handle)
    return text


def _obtained(home, repository, sha, user, in_place=False):
    """The commit in the application's clone, which git has not locked, and which can be laid out whole."""
    source = home / "source"
    _tree.forget_locks(source, user)
    _git.obtain(source, repository, sha, user)
    _tree.check(source, sha, user, in_place)
