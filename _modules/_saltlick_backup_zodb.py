"""ZODB: Data.fs and its blobs as one pair. Sibling of `backup`.

Data.fs first, by repozo, blobs after: a blob is there before the transaction that names it ends, so each that Data.fs names is
in the later copy. Only a pack takes blobs away; one in between is seen (it puts another file in the place of Data.fs), and the
run begins anew.
"""

import json
import shutil
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_places as _places
    import _saltlick_backup_tar as _tar
    import _saltlick_backup_traces as _traces
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_places as _places
    from saltlick.modules import _saltlick_backup_tar as _tar
    from saltlick.modules import _saltlick_backup_traces as _traces

FACTS = Path("/etc/saltlick/zeo.json")
TRIES = 3
BLOBS = "blobs.tar.gz"
LOOK = """
import json, os, sys
from ZODB.blob import is_blob_record
from ZODB.FileStorage import FileStorage
from ZODB.TimeStamp import TimeStamp
storage = FileStorage(sys.argv[1], read_only=True, blob_dir=sys.argv[2])
missing, blobs, transactions = [], 0, 0
for transaction in storage.iterator():
    transactions += 1
    for record in transaction:
        if record.data and is_blob_record(record.data):
            blobs += 1
            path = storage.fshelper.getBlobFilename(record.oid, record.tid)
            if not os.path.exists(path):
                missing.append(os.path.relpath(path, sys.argv[2]))
last = storage.lastTransaction()
print(json.dumps({
    "transactions": transactions, "blobs": blobs, "missing": missing, "objects": len(storage),
    "size": storage.getSize(), "file_size": os.path.getsize(sys.argv[1]), "last": str(TimeStamp(last)),
}))
"""

REWRITE = """
import os, sys, time
from ZODB.FileStorage import FileStorage
from ZODB.serialize import referencesf
from ZODB.TimeStamp import TimeStamp
from ZODB.blob import copyTransactionsFromTo
old, blobs, fresh, fresh_blobs = sys.argv[1:]
class Source:
    def __init__(self):
        self._storage = FileStorage(old, blob_dir=blobs, pack_keep_old=False)
        last = TimeStamp(self._storage.lastTransaction()).timeTime()
        self._storage.pack(max(time.time(), last) + 1, referencesf)
        self.loadBlob = self._storage.loadBlob
    def iterator(self):
        for transaction in self._storage.iterator():
            transaction.user = transaction.description = b""
            transaction.extension = {}
            yield transaction
destination = FileStorage(fresh, create=True, blob_dir=fresh_blobs)
copyTransactionsFromTo(Source(), destination)
destination.close()
"""


def facts():
    """What the formula wrote down of this server. Raises: CommandExecutionError."""
    site = _files.read(FACTS)
    if not site:
        raise CommandExecutionError(f"{FACTS} is not there: the formula `zeo` writes it on servers of that role")
    return site


def take(folder, mode, last, state, deadline_s):
    """As `postgresql.take`. Raises: CommandExecutionError, also when each of three tries met a pack."""
    site = facts()
    for _ in range(TRIES):
        _files.emptied(folder)
        before = _file(site)
        pair = _pair(site, folder, mode, last, state, deadline_s)
        if _file(site) == before:
            return pair
    raise CommandExecutionError(
        f"{site['data']} was packed while it was backed up, {TRIES} times in a row: pack at other times"
    )


def places(site):
    """Data.fs and its blobs, where they really are, each with the folder that they are restored in."""
    data, blobs = _places.real(site["data"]), _places.real(site["blobs"])
    return (data, data.parent), (blobs, data.parent)


def _file(site):
    return Path(site["data"]).stat().st_ino


def _pair(site, folder, mode, last, state, deadline_s):
    repository = _files.made(state / "repozo")
    had = set(last["zodb"]["repozo"]) if mode == "incr" and last else set()
    why = ""
    if mode == "incr" and not (had and had <= _names(repository) and _tar.snapshot(state, last["id"], BLOBS).exists()):
        why, had = "this server does not know what the last backup held", set()
    if not had:
        _files.emptied(repository)
    for left in _names(repository) - had:  # of a run that did not reach the store
        (repository / left).unlink()
    words = [site["repozo"], "-B", "-z", *(["-F"] if not had else []), "-r", repository, "-f", site["data"]]
    _commands.run(words, deadline_s=deadline_s)
    have = _names(repository)
    if had and any(name.endswith((".fs", ".fsz")) for name in have - had):
        why, had = "Data.fs was packed since the last backup", set()
        have = {
            name
            for name in have
            if name >= max(other for other in have if other.endswith((".fs", ".fsz"))).split(".")[0]
        }
    place = folder / "repozo"
    place.mkdir(mode=0o700)
    for name in sorted(have - had):
        shutil.copyfile(repository / name, place / name)
    for path in repository.glob("*.dat"):
        if path.name.split(".")[0] + ".fsz" in have:
            shutil.copyfile(path, place / path.name)
    base = last["id"] if had else ""
    raw_size = Path(site["data"]).stat().st_size
    if Path(site["blobs"]).is_dir():
        fresh, before = (_tar.snapshot(state, backup, BLOBS) if backup else None for backup in (folder.name, base))
        before = before if before and before.exists() else None
        _tar.pack(site["blobs"], folder / BLOBS, fresh, before, exclude=["./tmp"], deadline_s=deadline_s)
        raw_size += 1024 * _tar.kilobytes(site["blobs"])
    facts = {
        "mode": "incr" if base else "full",
        "raw_size": raw_size,
        "role": "",
        "versions": _versions(site),
        "warnings": [line for place, beside in places(site) for line in _places.warnings(place, beside)],
    }
    return {**facts, **({"why": why} if why else {}), "zodb": {"repozo": sorted(have)}}


def _names(repository):
    """The data files there, without their index."""
    return {path.name for path in repository.iterdir() if path.suffix in {".fs", ".fsz", ".deltafs", ".deltafsz"}}


def _versions(site):
    query = "import importlib.metadata as m; print(m.version('ZODB'))"
    return {"ZODB": _commands.run([python(site), "-c", query]).strip()}


def python(site):
    """The interpreter that repozo runs under."""
    return str(Path(site["repozo"]).with_name("python"))


def env(restored):
    """What a script over a restored pair finds in its environment."""
    return {"ZODB_DATA": str(restored / "Data.fs"), "ZODB_BLOBS": str(restored / "blobs")}


def restore(site, chain, target, deadline_s):
    """Data.fs and blobs in a folder, from the local folders of a chain; what `look` says of them.

    Raises: CommandExecutionError when a transaction is cut or a blob is missing.
    """
    target = _files.fresh(target)
    repository = _files.fresh(target / ".repozo")
    for folder in chain:
        for path in sorted((folder / "repozo").iterdir()):
            shutil.copyfile(path, repository / path.name)
    _commands.run([site["repozo"], "-R", "-r", repository, "-o", target / "Data.fs"], deadline_s=deadline_s)
    shutil.rmtree(repository)
    archives = [folder / BLOBS for folder in chain if (folder / BLOBS).exists()]
    _tar.unpack(archives, target / "blobs", deadline_s=deadline_s)
    return look(site, target / "Data.fs", target / "blobs")


def laid_out(manifests):
    """Bytes that a restore takes beside what serves: Data.fs and blobs, and repozo's files that they are made from."""
    return max(link["raw_size"] for link in manifests) + sum(link["size"] for link in manifests)


def rewritten(site, target, deadline_s):
    """Put the last revision of every object that is reachable into a new Data.fs, with its blobs and no names of users.

    What `look` says of it. Source: ZODB, FileStorage.pack and ZODB.blob.copyTransactionsFromTo.
    """
    old, fresh = target / "old", target / "new"
    for folder in (old, fresh):
        folder.mkdir(mode=0o700)
    for name in ("Data.fs", "blobs"):
        (target / name).rename(old / name)
    names = [old / "Data.fs", old / "blobs", fresh / "Data.fs", fresh / "blobs"]
    _commands.run([python(site), "-W", "ignore", "-c", REWRITE, *names], deadline_s=deadline_s)
    for path in [path for path in target.iterdir() if path != fresh]:
        _traces.removed(path)
    for name in ("Data.fs", "blobs"):
        (fresh / name).rename(target / name)
    _traces.removed(fresh)
    return look(site, target / "Data.fs", target / "blobs")


def look(site, data, blobs):
    """What a Data.fs holds, every transaction read. Raises: CommandExecutionError when one is cut or a blob is missing."""
    seen = json.loads(_commands.run([python(site), "-W", "ignore", "-c", LOOK, data, blobs]))
    if seen["missing"]:
        raise CommandExecutionError(
            f"{len(seen['missing'])} of {seen['blobs']} blobs are missing: {', '.join(seen['missing'][:3])} …"
        )
    if seen["size"] != seen["file_size"]:
        raise CommandExecutionError(
            f"{data} ends in a transaction that is cut: {seen['file_size']} bytes, {seen['size']} of them whole"
        )
    return {name: seen[name] for name in ("transactions", "blobs", "objects", "last")}
