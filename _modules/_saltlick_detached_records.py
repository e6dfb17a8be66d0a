"""What is on record of each job: its files, and what they mean. Sibling of `detached`."""

import contextlib
import fcntl
import json
import os
import time
import urllib.parse

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_detached_processes as _processes
except ImportError:
    from saltlick.modules import _saltlick_detached_processes as _processes

TAIL_BYTES = 4000
LONGEST_TEXT = 20_000


def folder(base, job):
    name = urllib.parse.quote(str(job), safe=" :+@,=")
    if not name.strip(".") or len(name) > 200:
        raise CommandExecutionError(f"{job!r} cannot be the id of a job: give some text of at most 200 characters")
    return base / name


def folders(base):
    folders = [path for path in base.iterdir() if path.is_dir()] if base.is_dir() else []
    return sorted(folders, key=lambda folder: -folder.stat().st_mtime)


def last_word(folder):
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))


@contextlib.contextmanager
def turn(base):
    """One start at a time. A worker to be holds the lock too, until it is on record or dead."""
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (base / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def read(path):
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}


def write(path, facts, first=False):
    """A file, whole or not at all; with `first`, only if nobody wrote it before."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(facts, default=str), "utf-8")
    if not first:
        fresh.replace(path)
        return
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(fresh)
    fresh.unlink()


def conclude(folder, state, **more):
    """How the job came out; whoever says so first is right."""
    try:
        write(folder / "result.json", {"state": state, "ended": time.time(), **more}, first=True)
    except (TypeError, ValueError):  # a key that is no text, a ring of references
        write(
            folder / "result.json",
            {"state": state, "ended": time.time(), **more, "result": repr(more.get("result"))},
            first=True,
        )


def unended(folder, job_record, worker):
    """A job without a result: it runs, or it was lost; one whose keeper died is ended here when it is late."""
    if _processes.alive(worker["keeper"]):
        return {"state": "running"}
    if _processes.alive(worker["worker"]):
        if time.time() < worker["started"] + job_record["deadline_s"]:
            return {"state": "running"}
        _processes.end(worker["worker"][0])
        conclude(folder, "late", error=late(job_record["deadline_s"]))
    lost = "its worker was killed, or the server restarted, before it ended"
    return read(folder / "result.json") or {"state": "lost", "error": lost, "ended": last_word(folder)}


def late(deadline_s):
    return f"not done after {deadline_s:g} s: ended at its deadline"


def tail(log):
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def short(value):
    """A result without the beginning of what is too long for Salt's bus."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"[{len(value) - LONGEST_TEXT} characters left out]{value[-LONGEST_TEXT:]}"
    if isinstance(value, dict):
        return {name: short(item) for name, item in value.items()}
    if isinstance(value, list):
        return [short(item) for item in value]
    return value
