"""The folders of an application and what is known of the releases in them. Sibling of `revision`, which tells the layout."""

import contextlib
import datetime
import fcntl
import json
import re
import secrets
import time
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_revision_files as _files
    import _saltlick_revision_run as _run
    import _saltlick_revision_shared as _shared
    import _saltlick_revision_tree as _tree
except ImportError:
    from saltlick.modules import _saltlick_revision_files as _files
    from saltlick.modules import _saltlick_revision_run as _run
    from saltlick.modules import _saltlick_revision_shared as _shared
    from saltlick.modules import _saltlick_revision_tree as _tree

LOCK_DEADLINE_S = 900
STATE = ".saltlick.json"
SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def home(directory):
    if not directory or not Path(directory).is_absolute():
        raise CommandExecutionError(f"{directory!r} is not an absolute path")
    return Path(directory)


def release(directory, sha):
    check(sha)
    return home(directory) / "releases" / sha


def check(sha):
    if not SHA.fullmatch(str(sha)):
        raise CommandExecutionError(f"{sha!r} is not a whole commit id: revision.resolve finds it")


def made(directory, user):
    """The application's folder with what belongs into it."""
    place = home(directory)
    place.mkdir(parents=True, exist_ok=True)
    for name in ("source", "releases"):
        if not (place / name).exists():
            (place / name).mkdir(exist_ok=True)
            _run.give(place / name, user)
    return place


@contextlib.contextmanager
def locked(home):
    """One change of an application's folders at a time, whichever process makes it.

    A lock dies with its process, and with the commands that this one has started: git goes on when its minion is killed.
    """
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
        with _run.keeping(lock.fileno()):
            yield


def prepared_before(home, sha, release, started, anew, shared):
    """The state of a folder that can stay as it is; empty when it has to be made, as where what is shared is no link in it."""
    folder = home / "releases" / sha
    is_current = current(home) == sha
    if complete(folder) and (is_current or (not anew and _shared.linked(folder, shared))):
        return "built"
    if is_current:
        raise CommandExecutionError(
            f"{folder} is the current release and has no REVISION: it is not made anew while it may run"
        )
    record = known(folder)
    ours = bool(release) and record.get("release") == release
    if record.get("state") == "prepared" and (
        ours or record.get("prepared", 0) >= started
    ):  # another made it while we waited
        return "prepared"
    return ""


def lay_out(home, repository, sha, user, record, shared):
    """The files of a commit and links to what is shared, in a folder that has its name only once they are all there."""
    fresh = home / "releases" / f".saltlick.{sha}"
    _files.discard(fresh)
    fresh.mkdir(mode=0o755)
    _run.give(fresh, user)
    _tree.lay_out(home / "source", repository, sha, fresh, user)
    _shared.link(home, fresh, shared, user)
    record_facts(fresh, sha=sha, prepared=time.time(), **record)
    _files.discard(home / "releases" / sha)
    fresh.replace(home / "releases" / sha)


def current(home):
    """The SHA of the release that is current; empty when none is."""
    link = home / "current"
    name = link.readlink().name if link.is_symlink() and link.exists() else ""
    return name if SHA.fullmatch(name) else ""


def switch(home, sha):
    """Let `current` point to a release: as one rename, so that it never points nowhere."""
    link, before = home / "current", current(home)
    if link.exists() and not link.is_symlink():
        raise CommandExecutionError(f"{link} is not a symbolic link, and what it is must not be lost: move it away")
    if before:
        record_facts(home / "releases" / before, left=time.time())
    fresh = home / f".current.{secrets.token_hex(4)}"
    fresh.symlink_to(f"releases/{sha}")
    fresh.replace(link)
    record_facts(home / "releases" / sha, activated=time.time())


def complete(folder):
    return _files.is_folder(folder) and _files.read(folder / "REVISION").strip() == folder.name


def listed(home):
    """Every release, those last in use first; `previous` is the one that was left last and did not fail."""
    now = current(home)
    folders = [
        path for path in _files.entries(home / "releases") if SHA.fullmatch(path.name) and _files.is_folder(path)
    ]
    releases = [_describe(folder, now) for folder in sorted(folders, key=_used, reverse=True)]
    left = {folder.name: known(folder).get("left", 0) for folder in folders}
    candidates = [
        release["sha"] for release in releases if not release["current"] and release["state"] in ("good", "built")
    ]
    before = max(candidates, key=lambda sha: left[sha], default="")
    return [{**release, "previous": bool(before) and release["sha"] == before} for release in releases]


def prune(home, keep, protect):
    """Remove what nobody goes back to, and what an interrupted build left behind."""
    releases = listed(home)
    staying = {release["sha"] for release in releases if release["current"] or release["previous"]}
    staying |= {release["sha"] for release in releases if release["sha"].startswith(tuple(protect))}
    staying |= set([release["sha"] for release in releases if release["state"] == "good"][:keep])
    removed = [release["sha"] for release in releases if release["sha"] not in staying]
    for sha in removed:
        _files.discard(home / "releases" / sha)
    for leftover in (path for path in _files.entries(home / "releases") if path.name.startswith(".saltlick.")):
        _files.discard(leftover)
    return {"removed": removed, "kept": [release["sha"] for release in releases if release["sha"] in staying]}


def _used(folder):
    """When a release was last of use, in seconds of the epoch."""
    record = known(folder)
    marker = folder / "REVISION"
    return max(
        record.get("left", 0), record.get("activated", 0), (marker if marker.exists() else folder).lstat().st_mtime
    )


def _describe(folder, now):
    record = known(folder)
    state = {None: "good", "prepared": "built"}.get(record.get("state"), record.get("state"))
    time_built = _files.read(folder / "REVISION_TIME").strip() or utc(folder.lstat().st_mtime)
    return {
        "sha": folder.name,
        "time": time_built,
        "state": state if complete(folder) or state == "failed" else "unfinished",
        "release": record.get("release", ""),
        "current": folder.name == now,
    }


def known(folder):
    """What is told of a release; nothing of one that the formula built."""
    with contextlib.suppress(ValueError):
        record = json.loads(_files.read(folder / STATE) or "{}")
        return record if isinstance(record, dict) else {}
    return {}


def record_facts(folder, **facts):
    _files.write(folder, STATE, json.dumps({**known(folder), **facts}, sort_keys=True) + "\n")


def utc(seconds=None):
    moment = datetime.datetime.fromtimestamp(time.time() if seconds is None else seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
