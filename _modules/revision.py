"""Keep revisions of an application in folders of their own, and say which of them is current.

The layout is the one of Saltlick's formula `app`; either can go on where the other stopped::

    <directory>/source                  a clone, checked out by nobody but `checkout` and the formula
    <directory>/releases/<sha>/         one revision, without history
    <directory>/releases/<sha>/REVISION written last: a folder without it is a build that was interrupted
    <directory>/current -> releases/<sha>

What is known of a release stands in `.saltlick.json` in its folder. `<directory>` is the minion's own, `source` and what is below
`releases` belong to the application's user; whatever runs code of the repository runs as that user, and nothing here follows
a symbolic link that lies there.

Needs Salt and the standard library only, so a plain module sync carries it.
"""

import contextlib
import datetime
import fcntl
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from salt.exceptions import CommandExecutionError

__func_alias__ = {"list_": "list"}

LOG = "/var/log/saltlick/releases.log"
GIT_DEADLINE_S = 600
LOCK_DEADLINE_S = 900
STATE = ".saltlick.json"
BRIDGED = ".saltlick-bridged"
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREVIATION = re.compile(r"[0-9a-fA-F]{4,64}")
_NAME = re.compile(r"(?!.*(\.\.|@\{|//))[A-Za-z0-9_][A-Za-z0-9_./+@#=-]*")


def resolve(repository, rev, user=None, directory=None):
    """
    Find the one commit that a revision names. Changes nothing but the clone's knowledge of its repository.

    repository
        address that git can fetch from; dumb HTTP will do
    rev
        branch, tag, commit or the first 4 or more digits of one; annotated tags are followed to their commit
    user
        who asks; the minion's own user when None
    directory
        the application's folder, whose `source` is the clone that knows commits; without one, a clone is made and thrown away
        when the revision is neither branch nor tag

    Returns the SHA, all of its digits.

    Raises:
        CommandExecutionError: there is no such revision, or more than one, or git fails; in one sentence.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.resolve http://git.saltlick.internal/app.git f5d9859 user=app directory=/srv/app
    """
    rev = str(rev)
    if not _NAME.fullmatch(rev):
        raise CommandExecutionError(f"{rev!r} is not the name of a revision: give a branch, a tag or a commit")
    clone = _home(directory) / "source" if directory else None
    if _SHA.fullmatch(rev) and clone and _has(clone, rev, user):
        return rev
    named = _named(repository, rev, user)
    if len(set(named.values())) > 1:
        meanings = " and ".join(f"{name} ({sha[:12]})" for name, sha in named.items())
        raise CommandExecutionError(f"{rev} is ambiguous in {_bare(repository)}: {meanings}; give one of these names")
    if named:
        return next(iter(named.values()))
    found = _abbreviated(repository, rev.lower(), user, clone) if _ABBREVIATION.fullmatch(rev) else []
    if len(found) > 1:
        first = ", ".join(sha[:12] for sha in found[:5])
        raise CommandExecutionError(
            f"{rev} is ambiguous in {_bare(repository)}: {len(found)} commits begin so ({first})"
        )
    if not found:
        raise CommandExecutionError(f"{_bare(repository)} has no branch, tag or commit {rev}")
    return found[0]


def prepare(directory, repository, sha, user=None, bridge=(), release="", anew=False):
    """
    Lay out a revision in ``releases/<sha>``, ready to be built; nothing that runs is touched.

    A complete folder is left as it is, and so is one that this very release laid out before; any other is an interrupted build
    and is made anew. Calls at the same time take turns.

    directory
        the application's folder; made when it is not there
    repository
        address that git can fetch from
    sha
        the commit, all of its digits
    user
        whom the folder will belong to, and who fetches; the minion's own user when None
    bridge
        folders inside the release, such as ``static``, into which ``built`` takes over what the current release has and
        the new one lacks: pages of the old one go on finding their files
    release
        id of the release this is done for
    anew
        make a complete folder anew too; the current one never

    Returns ``{"folder": "/srv/app/releases/…", "sha": "…", "state": "prepared", "changed": True, "seconds": 0.4}``;
    `state` is ``built`` when nothing needs to be built any more.

    Raises:
        CommandExecutionError: no such commit, git fails, or the folder is the current one and incomplete.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.prepare /srv/app http://git.saltlick.internal/app.git f5d9859c… user=app
    """
    _check(sha)
    started = time.time()
    home = _made(directory, user)
    folder = home / "releases" / sha
    with _locked(home):
        state = _prepared_before(home, sha, release, started, anew)
        if not state:
            _obtain(home / "source", repository, sha, user)
            _lay_out(home, sha, user, {"state": "prepared", "release": release, "bridge": _names(bridge)})
    return {
        "folder": str(folder),
        "sha": sha,
        "state": state or "prepared",
        "changed": not state,
        "seconds": round(time.time() - started, 3),
    }


def built(directory, sha, bridge=(), release=""):
    """
    Declare a prepared folder complete: takes over bridged files, then writes REVISION_TIME and, last of all, REVISION.

    directory
        the application's folder
    sha
        the commit, all of its digits
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
    home, folder = _home(directory), _release(directory, sha)
    if _complete(folder):
        return {"folder": str(folder), "changed": False, "bridged": 0}
    if not _is_folder(folder):
        raise CommandExecutionError(f"{folder} does not exist: revision.prepare makes it")
    now = current(directory)
    names = dict.fromkeys([*_state(folder).get("bridge", ()), *_names(bridge)])
    bridged = [file for name in names for file in _bridge(home / "releases" / now, folder, name)] if now else []
    if bridged:
        _write(folder, BRIDGED, "".join(f"{file}\n" for file in bridged))
    _tell(folder, state="built", built=time.time(), **({"release": release} if release else {}))
    _write(folder, "REVISION_TIME", f"{_utc()}\n")
    _write(folder, "REVISION", f"{sha}\n")
    return {"folder": str(folder), "changed": True, "bridged": len(bridged)}


def activate(directory, sha):
    """
    Make a complete release the current one, in one indivisible step: at each moment `current` is either the old or the new one.

    directory
        the application's folder
    sha
        the commit, all of its digits

    Returns ``{"previous": "…", "current": "…", "changed": True}``; `previous` is empty when there was none, and that of the
    switch before when nothing had to be changed.

    Raises:
        CommandExecutionError: the release is not complete, or `current` is no symbolic link.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-1' revision.activate /srv/app f5d9859c…
    """
    home, folder = _home(directory), _release(directory, sha)
    if not _complete(folder):
        raise CommandExecutionError(
            f"{folder} is not complete ({'no REVISION in it' if _is_folder(folder) else 'absent'})"
        )
    before = current(directory)
    if before == sha:
        return {"previous": _previous(list_(directory)), "current": sha, "changed": False}
    link = home / "current"
    if link.exists() and not link.is_symlink():
        raise CommandExecutionError(f"{link} is not a symbolic link, and what it is must not be lost: move it away")
    if before:
        _tell(home / "releases" / before, left=time.time())
    fresh = home / f".current.{secrets.token_hex(4)}"
    fresh.symlink_to(f"releases/{sha}")
    fresh.replace(link)
    _tell(folder, activated=time.time())
    return {"previous": before, "current": sha, "changed": True}


def current(directory, in_place=False):
    """
    Say which revision is current.

    directory
        the application's folder
    in_place
        look at what is checked out in `source` instead of where `current` points

    Returns the SHA; empty when there is none.

    Raises:
        CommandExecutionError: the directory is not an absolute path.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.current /srv/app
    """
    home = _home(directory)
    if in_place:
        return _head(home / "source")
    link = home / "current"
    name = link.readlink().name if link.is_symlink() and link.exists() else ""
    return name if _SHA.fullmatch(name) else ""


def checkout(directory, repository, sha, user=None):
    """
    Check a revision out in ``source``, in place: for applications that are built where they run. What git does not know stays.

    directory
        the application's folder; made when it is not there
    repository
        address that git can fetch from
    sha
        the commit, all of its digits
    user
        whom the checkout belongs to; the minion's own user when None

    Returns ``{"previous": "…", "current": "…", "changed": True}``.

    Raises:
        CommandExecutionError: no such commit, or git fails.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-1' revision.checkout /srv/plone http://git.saltlick.internal/plone.git f5d9859c… user=plone
    """
    _check(sha)
    home = _made(directory, user)
    with _locked(home):
        before = current(directory, in_place=True)
        _obtain(home / "source", repository, sha, user)
        _check_out(home / "source", sha, user)
    return {"previous": before, "current": sha, "changed": before != sha}


def list_(directory):
    """
    List the releases on this server, those last in use first.

    directory
        the application's folder

    Returns a list of ``{"sha": "…", "time": "2026-11-22T10:00:00Z", "state": "good", "release": "…", "current": True,
    "previous": False}``. States: ``good`` (marked so, or built by the formula), ``failed``, ``built`` (complete, not yet
    judged), ``unfinished``. `previous` is the one that was current before, failed ones left out of account.

    Raises:
        CommandExecutionError: the directory is not an absolute path.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.list /srv/app
    """
    home = _home(directory)
    now = current(directory)
    folders = [folder for folder in _entries(home / "releases") if _SHA.fullmatch(folder.name) and _is_folder(folder)]
    found = sorted(((_describe(folder, now), _used(folder)) for folder in folders), key=lambda pair: -pair[1])
    left = {folder.name: _state(folder).get("left", 0) for folder in folders}
    candidates = [one["sha"] for one, _ in found if not one["current"] and one["state"] in ("good", "built")]
    before = max(candidates, key=lambda sha: left[sha], default="")
    return [{**one, "previous": bool(before) and one["sha"] == before} for one, _ in found]


def mark(directory, sha, good=True, release=""):
    """
    Note how a release came out: only good ones count for `keep` of ``prune``.

    directory
        the application's folder
    sha
        the commit, all of its digits
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
    folder = _release(directory, sha)
    if good and not _complete(folder):
        raise CommandExecutionError(f"{folder} is not complete, so it cannot be good")
    if not _is_folder(folder):
        return {"sha": sha, "state": "absent"}
    state = "good" if good else "failed"
    _tell(folder, state=state, marked=time.time(), **({"release": release} if release else {}))
    return {"sha": sha, "state": state}


def prune(directory, keep=5, protect=()):
    """
    Remove releases that nobody goes back to: failed and unfinished ones, and good ones beyond the last `keep`.

    The current one, the one before it and protected ones always stay, whatever they are.

    directory
        the application's folder
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
    home = _home(directory)
    if not _is_folder(home / "releases"):
        return {"removed": [], "kept": []}
    with _locked(home):
        releases = list_(directory)
        staying = {one["sha"] for one in releases if one["current"] or one["previous"]}
        staying |= {one["sha"] for one in releases if one["sha"].startswith(tuple(_names(protect)))}
        staying |= set([one["sha"] for one in releases if one["state"] == "good"][: int(keep)])
        removed = [one["sha"] for one in releases if one["sha"] not in staying]
        for sha in removed:
            _discard(home / "releases" / sha)
        for leftover in (path for path in _entries(home / "releases") if path.name.startswith(".saltlick.")):
            _discard(leftover)
    return {"removed": removed, "kept": [one["sha"] for one in releases if one["sha"] in staying]}


def free(directory):
    """
    Say how much room there is where releases go.

    directory
        the application's folder, or where it will be

    Returns whole MB (2**20 bytes) that are free to ordinary users.

    Raises:
        CommandExecutionError: the directory is not an absolute path.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' revision.free /srv/app
    """
    place = _home(directory)
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
    text = f"{_utc()} {' '.join(str(line).split())}"
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, f"{text}\n".encode())
    finally:
        os.close(handle)
    return text


# Folders


def _home(directory):
    if not directory or not Path(directory).is_absolute():
        raise CommandExecutionError(f"{directory!r} is not an absolute path")
    return Path(directory)


def _release(directory, sha):
    _check(sha)
    return _home(directory) / "releases" / sha


def _check(sha):
    if not _SHA.fullmatch(str(sha)):
        raise CommandExecutionError(f"{sha!r} is not a whole commit id: revision.resolve finds it")


def _names(words):
    """A list of words, given as such or as one text."""
    if isinstance(words, str):
        words = re.split(r"[,\s]+", words)
    return [str(word) for word in words or () if word]


def _made(directory, user):
    """The application's folder with what belongs into it."""
    home = _home(directory)
    home.mkdir(parents=True, exist_ok=True)
    for name in ("source", "releases"):
        if not (home / name).exists():
            (home / name).mkdir(exist_ok=True)
            _give(home / name, user)
    return home


def _give(path, user):
    identity = _identity(user)
    if identity:
        os.chown(path, identity["user"], identity["group"], follow_symlinks=False)


@contextlib.contextmanager
def _locked(home):
    """One change of an application's folders at a time, whichever process makes it. A lock dies with its process."""
    with (home / ".saltlick.lock").open("a") as lock:
        give_up = time.monotonic() + LOCK_DEADLINE_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise CommandExecutionError(
                        f"{home}: somebody else has been at work for {LOCK_DEADLINE_S} s"
                    ) from None
                time.sleep(0.05)
        yield


def _prepared_before(home, sha, release, started, anew):
    """The state of a folder that can stay as it is; empty when it has to be made."""
    folder = home / "releases" / sha
    is_current = current(home) == sha
    if _complete(folder) and (is_current or not anew):
        return "built"
    if is_current:
        raise CommandExecutionError(
            f"{folder} is the current release and has no REVISION: it is not made anew while it may run"
        )
    told = _state(folder)
    ours = bool(release) and told.get("release") == release
    if told.get("state") == "prepared" and (
        ours or told.get("prepared", 0) >= started
    ):  # another made it while we waited
        return "prepared"
    return ""


def _lay_out(home, sha, user, told):
    """The files of a commit, in a folder that has its name only once they are all there."""
    fresh = home / "releases" / f".saltlick.{sha}"
    archive = home / "releases" / f".saltlick.{sha}.tar"
    for leftover in (fresh, archive):
        _discard(leftover)
    fresh.mkdir(mode=0o755)
    _give(fresh, user)
    try:
        _git(user, home / "source", "archive", "--format=tar", f"--output={archive}", sha)
        _run(["tar", "-x", "-f", str(archive), "-C", str(fresh)], user)
    finally:
        _discard(archive)
    _tell(fresh, sha=sha, prepared=time.time(), **told)
    _discard(home / "releases" / sha)
    fresh.replace(home / "releases" / sha)


def _discard(path):
    """Remove a folder, a file or a link, and nothing that a link points to."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        # As one rename first: whoever looks at the folder meanwhile sees all of it or nothing.
        gone = path.with_name(f".saltlick.gone.{secrets.token_hex(4)}")
        path.rename(gone)
        shutil.rmtree(gone)


def _entries(folder):
    return list(folder.iterdir()) if _is_folder(folder) else []


def _is_folder(path):
    return path.is_dir() and not path.is_symlink()


def _complete(folder):
    return _is_folder(folder) and _read(folder / "REVISION").strip() == folder.name


def _used(folder):
    """When a release was last of use, in seconds of the epoch."""
    told = _state(folder)
    marker = folder / "REVISION"
    return max(told.get("left", 0), told.get("activated", 0), (marker if marker.exists() else folder).lstat().st_mtime)


def _describe(folder, now):
    told = _state(folder)
    state = {None: "good", "prepared": "built"}.get(told.get("state"), told.get("state"))
    time_built = _read(folder / "REVISION_TIME").strip() or _utc(folder.lstat().st_mtime)
    return {
        "sha": folder.name,
        "time": time_built,
        "state": state if _complete(folder) or state == "failed" else "unfinished",
        "release": told.get("release", ""),
        "current": folder.name == now,
    }


def _previous(releases):
    return next((one["sha"] for one in releases if one["previous"]), "")


def _utc(seconds=None):
    moment = datetime.datetime.fromtimestamp(time.time() if seconds is None else seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# Files in folders that are the application's own


def _read(path):
    """The text of a small file; empty when there is none, or when it is a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(handle, "rb") as file:
        return file.read(100_000).decode("utf-8", "replace")


def _state(folder):
    with contextlib.suppress(ValueError):
        told = json.loads(_read(folder / STATE) or "{}")
        return told if isinstance(told, dict) else {}
    return {}


def _tell(folder, **facts):
    _write(folder, STATE, json.dumps({**_state(folder), **facts}, sort_keys=True) + "\n")


def _write(folder, name, text):
    """A file of the folder's owner, whole or not at all, and never written through a link."""
    with _opened(folder) as at:
        owner = os.fstat(at)
        fresh = f".saltlick.{secrets.token_hex(4)}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=at)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, name, src_dir_fd=at, dst_dir_fd=at)


@contextlib.contextmanager
def _opened(name, at=None):
    """A folder, as a handle that stays with it whatever is moved about; OSError for a link."""
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
    try:
        yield handle
    finally:
        os.close(handle)


def _bridge(old, new, name):
    """Take over what the old release itself brought along in a folder, and the new one lacks."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise CommandExecutionError(f"bridge: {name!r} is not a folder inside a release")
    known = set(_read(old / BRIDGED).splitlines())
    with contextlib.ExitStack() as stack:
        source, target = stack.enter_context(_opened(old)), stack.enter_context(_opened(new))
        for part in parts:
            if not _has_folder(source, part):
                return []
            source = stack.enter_context(_opened(part, source))
            target = stack.enter_context(_entered(part, target))
        return list(_bridge_folder(source, target, "/".join(parts), known))


def _bridge_folder(source, target, name, known):
    for entry in sorted(os.listdir(source)):  # noqa: PTH208 - a handle
        inner = f"{name}/{entry}"
        if _has_folder(source, entry):
            with (
                contextlib.suppress(NotADirectoryError),
                _opened(entry, source) as deeper,
                _entered(entry, target) as there,
            ):
                yield from _bridge_folder(deeper, there, inner, known)
        elif inner not in known and stat.S_ISREG(os.lstat(entry, dir_fd=source).st_mode):
            with contextlib.suppress(FileExistsError):
                os.link(entry, entry, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
                yield inner


def _has_folder(at, name):
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode)
    return False


@contextlib.contextmanager
def _entered(name, at):
    """A folder inside another, made, with the same owner, when it is not there."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=at)
        owner = os.fstat(at)
        if os.geteuid() == 0:
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=at, follow_symlinks=False)
    with _opened(name, at) as handle:
        yield handle


# git


def _named(repository, rev, user):
    """Which refs of a repository a name can mean, with the commit of each."""
    listed = dict(reversed(line.split("\t", 1)) for line in _git(user, None, "ls-remote", repository).splitlines())
    wanted = [rev] if rev == "HEAD" or rev.startswith("refs/") else [f"refs/tags/{rev}", f"refs/heads/{rev}"]
    return {name: listed.get(f"{name}^{{}}", listed[name]) for name in wanted if name in listed}


def _abbreviated(repository, digits, user, clone):
    """The commits whose ids begin with these digits, as the clone has them, or else as the repository has them."""
    with _somewhere(user) if clone is None else contextlib.nullcontext(_made(clone.parent, user) / "source") as place:
        found = _commits(place, digits, user)
        if not found:
            with contextlib.nullcontext() if clone is None else _locked(clone.parent):
                _fetch(place, repository, user)
            found = _commits(place, digits, user)
        return found


@contextlib.contextmanager
def _somewhere(user):
    with tempfile.TemporaryDirectory(prefix="saltlick-revision-") as folder:
        _give(folder, user)
        yield Path(folder)


def _commits(clone, digits, user):
    if not (clone / ".git").exists():
        return []
    objects = _git(user, clone, "rev-parse", f"--disambiguate={digits}", allowed=(0, 128))
    kinds = _git(user, clone, "cat-file", "--batch-check", given=objects) if objects.strip() else ""
    return [words[0] for words in map(str.split, kinds.splitlines()) if words[1:2] == ["commit"]]


def _check_out(clone, sha, user):
    """On a branch of our own: Salt's git.latest fails on a detached HEAD."""
    _git(user, clone, "checkout", "--quiet", "--force", "--no-track", "-B", "saltlick", sha)


def _head(clone):
    """What is checked out; empty when nothing is."""
    return _git(None, clone, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1, 128)).strip()


def _has(clone, sha, user):
    return sha in _commits(clone, sha, user)


def _obtain(clone, repository, sha, user):
    """A clone that has the commit."""
    if not _has(clone, sha, user):
        _fetch(clone, repository, user)
        if not _has(clone, sha, user):
            raise CommandExecutionError(f"{_bare(repository)} has no commit {sha}")
    if not _head(clone):  # git.latest of the formula could not go on from a clone in which nothing was ever checked out
        _check_out(clone, sha, user)


def _fetch(clone, repository, user):
    """All branches and tags. Plain HTTP servers give neither a single commit nor a shallow history."""
    if not (clone / ".git").exists():
        _git(user, clone, "init", "--quiet")
    branches, tags = "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"
    _git(user, clone, "-c", "gc.autoDetach=false", "fetch", "--quiet", "--force", "--prune", repository, branches, tags)


def _git(user, folder, *arguments, allowed=(0,), given=""):
    """What git prints. Run by another than the clone's owner it would refuse, unless told that this one is meant."""
    place = ["-c", f"safe.directory={folder}", "-C", str(folder)] if folder else []
    return _run(["git", *place, *arguments], user, allowed, given)


def _run(command, user, allowed=(0,), given=""):
    """What a command prints, run as the user; CommandExecutionError with its last words when it fails or does not end."""
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            cwd="/", env=_environment(user), umask=0o022, start_new_session=True, **_identity(user),
        )  # fmt: skip
    except OSError as error:
        raise CommandExecutionError(f"{command[0]} cannot be run: {error}") from error
    try:
        output, errors = process.communicate(given, timeout=GIT_DEADLINE_S)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandExecutionError(f"{_shown(command)}: no end after {GIT_DEADLINE_S} s") from None
        raise
    if process.returncode not in allowed:
        said = _bare(" / ".join(errors.strip().splitlines()[-5:]))
        raise CommandExecutionError(f"{_shown(command)} failed ({process.returncode}): {said or 'said nothing'}")
    return output


def _shown(command):
    """A command for people: without where it runs and how it is configured."""
    words, skipping = [], False
    for word in command:
        if not skipping and word not in ("-c", "-C"):
            words.append(word)
        skipping = word in ("-c", "-C")
    return _bare(" ".join(words))


def _bare(text):
    """Addresses without the credentials in them."""
    return re.sub(r"://[^/@\s]*@", "://", str(text))


def _identity(user):
    """How to become the user; nothing to do when that is who we are."""
    if not user:
        return {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise CommandExecutionError(f"there is no user {user} here") from None
    if entry.pw_uid == os.geteuid():
        return {}
    if os.geteuid() != 0:
        raise CommandExecutionError(f"only root can act as {user}, and this minion runs as {os.geteuid()}")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}


def _environment(user):
    """The minion's environment, in which git asks nobody anything and looks at nothing of another repository."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith("GIT_SSL_")
    }
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes", "LC_ALL": "C"}
    if not user:
        return {**kept, **quiet}
    entry = pwd.getpwnam(user)
    return {**kept, **quiet, "HOME": entry.pw_dir, "USER": user, "LOGNAME": user}
