"""The manifest of a backup: signed by who takes it, and believed by who restores it only as it was signed. Sibling of `backup`.

A store holds files and decides nothing: names, places and sizes in a manifest are checked here before anything is done with them.
"""

import hashlib
import hmac
import json
import re
import tempfile
from pathlib import Path, PurePosixPath

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_files as _files
except ImportError:
    from saltlick.modules import _saltlick_backup_files as _files

SIGNATURE = "signature"
TEXTS = ("id", "job", "kind", "mode", "ended", "began", "server", "base", "previous")
KINDS = ("postgresql", "zodb", "directories", "master")
DIGEST = re.compile(r"[0-9a-f]{64}")
PART = re.compile(r"(?!\.\.?$)[^/\x00-\x1f\x7f\\]+")
ARCHIVE = re.compile(r"\d{3}-[A-Za-z0-9_-]{0,60}\.tar\.gz")
FILES = {
    "postgresql": re.compile(
        r"base/(base\.tar\.gz|pg_wal\.tar\.gz|backup_manifest)|wal/([0-9A-F]{24}(\.partial)?|[0-9A-F]{8}\.history)\.gz"
    ),
    "zodb": re.compile(r"blobs\.tar\.gz|repozo/\d{4}(-\d\d){5}\.(fs|fsz|deltafs|deltafsz|dat)"),
    "directories": ARCHIVE,
    "master": re.compile(r"saltlick\.sqlite|(keys|settings|memory)\.tar\.gz"),
}
"""Names of the files that a backup of that kind is made of."""
KEYS = {
    "format", "sequence", "why", "id", "job", "environment", "kind", "server", "base", "previous", "follows", "mode", "raw_size",
    "role", "versions", "warnings", "began", "ended", "files", "size", "seconds", SIGNATURE,
}  # fmt: skip
OWN_KEYS = {
    "postgresql": {"postgresql"},
    "zodb": {"zodb"},
    "directories": {"directories", "raw_sizes", "owners"},
    "master": set(),
}
PARTS = {
    "postgresql": {
        "system", "segment_bytes", "timeline", "ancestors", "left", "born", "start_lsn", "end_lsn", "first_segment",
        "next_segment", "segments", "reaches", "consistent", "primary_asked",
    },
    "zodb": {"repozo"},
    "owners": {"users", "groups"},
}  # fmt: skip
"""All keys that a manifest has, and its parts."""
SEGMENTS = [1 << power for power in range(20, 31)]
"""Bytes of a WAL segment. Source: initdb --wal-segsize, 1 MB to 1 GB."""
LARGEST = 1 << 60
"""Bytes: no backup is as large, and room for it can still be computed."""


def signed(manifest, key):
    """The manifest as it goes into a store: with a signature where the store has a key. Source: RFC 2104, HMAC-SHA256."""
    return {**manifest, SIGNATURE: _signature(manifest, key)} if key else manifest


def checked(facts, key, job, backup):
    """
    What a store says of a backup, if it is the manifest of that very backup.

    Raises:
        CommandExecutionError: it is not signed with the store's key, or has what no backup of ours has.
    """
    if not isinstance(facts, dict):
        raise _refused(job, backup, "is no manifest")
    if key and not hmac.compare_digest(str(facts.get(SIGNATURE, "")).encode(), _signature(facts, key).encode()):
        what = "is signed with another key" if SIGNATURE in facts else "is not signed"
        raise _refused(job, backup, f"{what}: it was not made by a server that has the store's `signing_key`")
    if (facts.get("job"), facts.get("id")) != (job, backup):
        raise _refused(job, backup, f"is the one of {facts.get('job')}/{facts.get('id')}")
    if problem := next(_problems(facts), ""):
        raise _refused(job, backup, problem)
    return facts


def there(place, job):
    """
    What a store has of a job: the manifest of each backup by its id, or the error that stands against it.

    Nothing (``{}``) stands for a folder without a manifest. Raises: CommandExecutionError where the store does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = place.manifests(Path(folder), [job])
        found = {}
        for backup in (name.rpartition("/")[2] for name in names):
            found[backup] = _read(Path(folder), place, job, backup)
        return found


def _read(folder, place, job, backup):
    try:
        facts = _files.read(folder / job / backup / _files.MANIFEST)
        return checked(facts, place.signing_key, job, backup) if facts else {}
    except CommandExecutionError as error:
        return error


def _signature(manifest, key):
    what = {name: value for name, value in manifest.items() if name != SIGNATURE}
    text = json.dumps(what, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _problems(facts):
    """What no manifest of ours has."""
    if lacking := [name for name in TEXTS if not isinstance(facts.get(name), str)]:
        yield f"lacks {', '.join(lacking)}"
    if not _files.NAME.fullmatch(facts["job"]) or not _files.ID.fullmatch(facts["id"]):
        yield "names no backup"
    if facts["kind"] not in KINDS or facts["mode"] not in ("full", "incr"):
        yield f"is of kind {facts['kind']!r} and mode {facts['mode']!r}"
    yield from _unknown(facts)
    yield from _odd_values(facts)
    yield from _odd_files(facts.get("files"))
    if foreign := sorted(name for name in facts["files"] if not FILES[facts["kind"]].fullmatch(name)):
        yield f"lists {_some(foreign)}, which no backup of kind {facts['kind']} has"
    yield from _odd_parts(facts)
    if facts["kind"] == "directories":
        yield from _odd_directories(facts)


def _odd_values(facts):
    for name in ("base", "previous", "follows"):
        if facts.get(name, "") and not (isinstance(facts[name], str) and _files.ID.fullmatch(facts[name])):
            yield f"has {facts[name]!r} as its {name}"
    for name in ("size", "raw_size"):
        if not _is_size(facts.get(name, 0)):
            yield f"has {facts[name]!r} as its {name}"
    if not isinstance(facts.get("environment", ""), str):
        yield f"has {facts['environment']!r} as its environment"


def _unknown(facts):
    """Keys that no manifest of ours has: whoever put them there means something by them."""
    kind = facts["kind"]
    parts = [(facts, KEYS | OWN_KEYS[kind], "")]
    parts += [(facts.get(name), known, f"{name}.") for name, known in PARTS.items() if name in OWN_KEYS[kind]]
    keys = [
        f"{place}{key}" for part, known, place in parts if isinstance(part, dict) for key in sorted(part.keys() - known)
    ]
    if keys:
        yield f"has unknown keys: {_some(keys)}"


def _some(names):
    return ", ".join(map(repr, names[:3])) + (" …" if len(names) > 3 else "")


def _odd_files(files):
    if not isinstance(files, dict):
        yield "lists no files"
        return
    for name, entry in files.items():
        if not name or not all(PART.fullmatch(part) for part in name.split("/")):
            yield f"has a file {name!r}, which is no name below a folder"
        if not (isinstance(entry, dict) and _is_size(entry.get("size")) and _is_digest(entry.get("sha256"))):
            yield f"does not say size and SHA-256 of {name!r}"
        elif len(entry) > 2:
            yield f"says more than size and SHA-256 of {name!r}"


def _odd_parts(facts):
    """Of what a database says for itself."""
    if facts["kind"] == "postgresql":
        part = facts.get("postgresql")
        if not isinstance(part, dict) or not all(_is_size(part.get(name)) for name in ("timeline", "next_segment")):
            yield "does not say where its WAL ends"
        elif not all(_is_size(part[name]) for name in ("segments", "segment_bytes", "first_segment") if name in part):
            yield "does not say how much WAL it has"
        elif part.get("segment_bytes", SEGMENTS[0]) not in SEGMENTS:
            yield f"has WAL in segments of {part['segment_bytes']} bytes, which PostgreSQL has not"
    if facts["kind"] == "zodb" and not _are_texts((facts.get("zodb") or {}).get("repozo")):
        yield "does not say which files of repozo it is of"


def _are_texts(value):
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _odd_directories(facts):
    owners = facts.get("owners")
    if not (isinstance(owners, dict) and all(_are_texts(owners.get(who)) for who in ("users", "groups"))):
        yield "does not say whose its files are"
    archives, sizes = facts.get("directories"), facts.get("raw_sizes")
    if not isinstance(archives, dict) or not isinstance(sizes, dict) or archives.keys() != sizes.keys():
        yield "does not say which folders it is of"
        return
    for path, archive in archives.items():
        pure = PurePosixPath(path)
        if not pure.is_absolute() or ".." in pure.parts or "\0" in path:
            yield f"is of {path!r}, which is no folder's absolute path"
        if not (isinstance(archive, str) and ARCHIVE.fullmatch(archive) and archive in facts["files"]):
            yield f"has {archive!r} as the archive of {path}"
        if not _is_size(sizes[path]):
            yield f"has {sizes[path]!r} as the size of {path}"
    if len(set(archives.values())) != len(archives):
        yield "has one archive for several folders"


def _is_size(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_digest(value):
    return isinstance(value, str) and bool(DIGEST.fullmatch(value))


def _refused(job, backup, why):
    return CommandExecutionError(f"{job}/{backup}: what the store has there {why}")
