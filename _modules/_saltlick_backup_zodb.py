"""ZODB: Data.fs and its blobs as one pair. Sibling of `backup`.

Data.fs first, by repozo, blobs after: a blob is there before the transaction that names it ends, so each that Data.fs names is
in the later copy. Only a pack takes blobs away; one in between is seen (it puts another file in the place of Data.fs), and the
run begins anew.

Whatever reads a Data.fs runs as the user of the service: an index beside it is a pickle, which runs code when it is read.
"""

import json
import os
import shutil
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_archives as _archives
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_places as _places
    import _saltlick_backup_tar as _tar
except ImportError:
    from saltlick.modules import _saltlick_backup_archives as _archives
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_places as _places
    from saltlick.modules import _saltlick_backup_tar as _tar

FACTS = Path("/etc/saltlick/zeo.json")
TRIES = 3
BLOBS = "blobs.tar.gz"
LOOK_S = 3600
UNPACK = ("tar", "--listed-incremental=/dev/null", "--no-same-owner", "-xzf", "-", "-C")
REPOSITORY = ".repozo"
DATA = (".fs", ".fsz", ".deltafs", ".deltafsz")
PACKED = (".fsz", ".deltafsz")
"""Names of repozo's files: Data.fs as it was, what came to it, and either with gzip. Source: repozo.gen_filename."""
LOOK = """
import contextlib, json, os, sys
from ZODB.blob import is_blob_record
from ZODB.FileStorage import FileStorage
from ZODB.TimeStamp import TimeStamp
with contextlib.suppress(FileNotFoundError):
    os.unlink(sys.argv[1] + ".index")
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
import contextlib, os, shutil, sys, time
from ZODB.FileStorage import FileStorage
from ZODB.serialize import referencesf
from ZODB.TimeStamp import TimeStamp
from ZODB.blob import copyTransactionsFromTo
place, names = sys.argv[1], ("Data.fs", "blobs")
old, fresh = ([os.path.join(place, folder, name) for name in names] for folder in ("old", "new"))
os.umask(0o077)
for folder in ("old", "new"):
    os.mkdir(os.path.join(place, folder))
for name, path in zip(names, old):
    os.rename(os.path.join(place, name), path)
class Source:
    def __init__(self):
        self._storage = FileStorage(old[0], blob_dir=old[1], pack_keep_old=False)
        last = TimeStamp(self._storage.lastTransaction()).timeTime()
        self._storage.pack(max(time.time(), last) + 1, referencesf)
        self.loadBlob = self._storage.loadBlob
    def iterator(self):
        for transaction in self._storage.iterator():
            transaction.user = transaction.description = b""
            transaction.extension = {}
            yield transaction
destination = FileStorage(fresh[0], create=True, blob_dir=fresh[1])
copyTransactionsFromTo(Source(), destination)
destination.close()
for name in set(os.listdir(place)) - {"new"}:
    path = os.path.join(place, name)
    shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
for name, path in zip(names, fresh):
    os.rename(path, os.path.join(place, name))
shutil.rmtree(os.path.join(place, "new"))
"""
"""The folder holds Data.fs and blobs afterwards, and nothing else."""


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
    repository, user = _repository(site, state), _commands.account(site["user"])
    had = set(last["zodb"]["repozo"]) if mode == "incr" and last else set()
    why = ""
    kept = _names(repository, user)
    if mode == "incr" and not (had and had <= kept and _tar.snapshot(state, last["id"], BLOBS).exists()):
        why, had = "this server does not know what the last backup held", set()
    if not had:
        _files.emptied(repository)
    for left in _names(repository, user) - had:  # of a run that did not reach the store
        (repository / left).unlink()
    words = [site["repozo"], "-B", "-z", *(["-F"] if not had else []), "-r", repository, "-f", site["data"]]
    _commands.run(words, user=site["user"], deadline_s=deadline_s)
    have = _names(repository, user)
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
        _files.copied(repository / name, place / name)
    for path in repository.glob("*.dat"):
        if path.name.split(".")[0] + ".fsz" in have:
            _files.copied(path, place / path.name)
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


def _repository(site, state):
    """The folder of repozo's files, the user's own in one of root's."""
    repository, user = _files.made(state / "repozo"), _commands.account(site["user"])
    os.chown(repository, user.pw_uid, user.pw_gid)
    repository.chmod(0o700)
    return repository


def _names(repository, user):
    """The data files of the user there, without their index."""
    own = (path for path in repository.iterdir() if path.suffix in DATA and path.lstat().st_uid == user.pw_uid)
    return {path.name for path in own}


def _versions(site):
    query = "import importlib.metadata as m; print(m.version('ZODB'))"
    return {"ZODB": _commands.run([python(site), "-c", query], user=site["user"]).strip()}


def python(site):
    """The interpreter that repozo runs under."""
    return str(Path(site["repozo"]).with_name("python"))


def env(restored):
    """What a script over a restored pair finds in its environment."""
    return {"ZODB_DATA": str(restored / "Data.fs"), "ZODB_BLOBS": str(restored / "blobs")}


def restore(site, chain, stage, manifests, deadline_s):
    """Data.fs and blobs in a `Stage`, made there by their user from the local folders of a chain; what `look` says of them.

    Raises: CommandExecutionError when a transaction is cut or a blob is missing, or more comes out than the manifests say.
    """
    own = [_files.fresh(stage.data), _files.fresh(stage.data / REPOSITORY), _files.fresh(stage.data / "blobs")]
    _collected(chain, own[1], max(link["raw_size"] for link in manifests))
    given(site, stage)  # from here on root writes and reads nothing in there
    words = [site["repozo"], "-R", "-r", stage.named / REPOSITORY, "-o", stage.named / "Data.fs"]
    stage.run(words, site["user"], env, deadline_s)
    stage.run(["rm", "-rf", "--", stage.named / REPOSITORY], site["user"], env, deadline_s)
    for archive in (folder / BLOBS for folder in chain if (folder / BLOBS).exists()):
        _archives.look(archive, stage.data, plain=True)
        with archive.open("rb") as source:
            stage.run([*UNPACK, stage.named / "blobs"], site["user"], env, deadline_s, source=source)
    return look(site, stage)


def given(site, stage):
    """All that is in a `Stage` belongs to the user of the service."""
    _files.given(stage.data, _commands.account(site["user"]))


def _collected(chain, repository, largest):
    """repozo's files of a chain in one folder. CommandExecutionError where they hold more bytes of Data.fs than `largest`."""
    for path in sorted(path for folder in chain for path in (folder / "repozo").iterdir()):
        if path.suffix in PACKED:
            largest -= _archives.content(path, largest)
        shutil.copyfile(path, repository / path.name)


def laid_out(manifests):
    """Bytes that a restore takes beside what serves: Data.fs and blobs, and repozo's files that they are made from."""
    return max(link["raw_size"] for link in manifests) + sum(link["size"] for link in manifests)


def rewritten(site, stage, deadline_s):
    """Put the last revision of every object that is reachable into a new Data.fs, with its blobs and no names of users.

    What `look` says of it. Source: ZODB, FileStorage.pack and ZODB.blob.copyTransactionsFromTo.
    """
    stage.run([python(site), "-W", "ignore", "-c", REWRITE, stage.named], site["user"], env, deadline_s)
    return look(site, stage)


def look(site, stage):
    """What the Data.fs of a `Stage` holds, every transaction read, by no index that lies there.

    Raises: CommandExecutionError when one is cut or a blob is missing.
    """
    data, blobs = stage.named / "Data.fs", stage.named / "blobs"
    words = [python(site), "-W", "ignore", "-c", LOOK, data, blobs]
    seen = json.loads(stage.run(words, site["user"], env, LOOK_S))
    if seen["missing"]:
        raise CommandExecutionError(
            f"{len(seen['missing'])} of {seen['blobs']} blobs are missing: {', '.join(seen['missing'][:3])} …"
        )
    if seen["size"] != seen["file_size"]:
        raise CommandExecutionError(
            f"{data} ends in a transaction that is cut: {seen['file_size']} bytes, {seen['size']} of them whole"
        )
    return {name: seen[name] for name in ("transactions", "blobs", "objects", "last")}
