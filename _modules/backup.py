"""Back up what a server holds, and restore it: the server's part of the runner of the same name.

A store is named as in this minion's pillar ``stores``; its secrets go to rsync or rclone by environment and are in no command,
job or log. In a store a backup is the folder ``<job>/<id>`` with a ``manifest.json`` that is written last: a folder without one
is unfinished.

Kinds: ``postgresql`` (pg_basebackup, and the WAL that pg_receivewal received), ``zodb`` (repozo, and the blobs with tar),
``directories`` (tar), ``master`` (what a Salt master remembers). Needs Salt and the standard library only, with the helpers that
lie beside it.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from salt.exceptions import CommandExecutionError

# Loaded anew after a sync, in a process that lives on, this file would get the helpers of before: Python keeps them by name.
_HELPERS = ("_saltlick_backup_", "_saltlick_patroni", "_saltlick_user_")
for _helper in [name for name in sys.modules if name.startswith(_HELPERS)]:
    sys.modules.pop(_helper, None)
try:  # Beside this file first, as Salt's loader has it: an installed wheel may be another version.
    import _saltlick_backup_chains as _chains
    import _saltlick_backup_files as _files
    import _saltlick_backup_manifests as _manifests
    import _saltlick_backup_masks as _masks
    import _saltlick_backup_master as _master
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_backup_restores as _restores
    import _saltlick_backup_stores as _stores
    import _saltlick_backup_tar as _tar
    import _saltlick_backup_traces as _traces
    import _saltlick_backup_trees as _trees
    import _saltlick_backup_zodb as _zodb
except ImportError:
    from saltlick.modules import _saltlick_backup_chains as _chains
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_manifests as _manifests
    from saltlick.modules import _saltlick_backup_masks as _masks
    from saltlick.modules import _saltlick_backup_master as _master
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_backup_restores as _restores
    from saltlick.modules import _saltlick_backup_stores as _stores
    from saltlick.modules import _saltlick_backup_tar as _tar
    from saltlick.modules import _saltlick_backup_traces as _traces
    from saltlick.modules import _saltlick_backup_trees as _trees
    from saltlick.modules import _saltlick_backup_zodb as _zodb

BASE = "/var/lib/saltlick/backup"
TURN_WAIT_S = 300
"""How long a backup waits for the one of the same job that is under way here, such as a scheduled one."""
FORMAT = 1
HELD = "held.json"
"""What is held ready for an exchange."""


def take(
    store, job, backup, kind, mode="full", options=None, environment="", deadline_s=3600, previous=None, follows=(),
    others=(), sequence=0, why="",
):  # fmt: skip
    """
    Make a backup and put it into a store.

    store
        name of a store in this minion's pillar
    job
        name of the job, a folder in the store
    backup
        the new backup's id, ``20261123T020000Z-full``; an incremental one that cannot join on to the last becomes a full one
        under an id that says so
    kind
        ``postgresql``, ``zodb`` or ``directories``
    mode
        ``full`` or ``incr``
    options
        of the kind: ``max_rate_mb`` (MB/s, postgresql), ``any_moment`` (True keeps the WAL of before a full backup for the next
        increment, postgresql), ``directories`` (a list of paths)
    previous
        id of the backup that an incremental one builds on; left out, the newest that the store has
    follows
        where `previous` is a full backup: ids of those before it, newest first; the WAL of the first that it goes on from is
        joined on to as well, if what is between is still here
    others
        ids of backups of other timelines, newest first: of two primaries the one that lives on may be the one that was not backed
        up last, and then the increment builds on the newest of these that it goes on from
    sequence
        number of this backup among those of the job
    why
        why it is a full one, for the manifest

    Returns the manifest: id, mode, base (the full backup it belongs to), previous, files with size and SHA-256, versions,
    seconds.

    Raises:
        CommandExecutionError: what failed, with the tool's own last words. What had reached the store is removed from there.

    CLI Example:

    .. code-block:: bash

        salt prod-db-2 backup.take vault database 20261123T020000Z-full postgresql
    """
    _files.named(job, backup)
    place, began = _stores.opened(__pillar__.get("stores"), store, __opts__), time.time()
    with _files.turn(_base(), job, wait_s=TURN_WAIT_S) as state:
        ground = _ground(place, job, previous, follows, others) if mode == "incr" else ({}, [], [])
        last = ground[0]
        spool = _files.emptied(_base() / "spool" / job)
        folder = _files.made(spool / backup)
        facts = _taken(kind, folder, mode, ground, options or {}, state, deadline_s)
        if not backup.endswith(facts["mode"]):
            backup = f"{backup.rpartition('-')[0]}-{facts['mode']}"
            _tar.renamed(state, folder.name, backup)
            folder = folder.rename(spool / backup)
        manifest = {
            "format": FORMAT, "sequence": sequence, "why": why,
            "id": backup, "job": job, "environment": environment, "kind": kind, "server": __opts__["id"],
            "base": last["base"] or last["id"] if facts["mode"] == "incr" else "",
            "previous": last["id"] if facts["mode"] == "incr" else "", **facts, "began": _stamp(began),
            "files": _files.inventory(folder),
        }  # fmt: skip
        manifest["size"] = sum(file["size"] for file in manifest["files"].values())
        copied = time.time()
        try:
            place.put(folder, job, backup, deadline_s=deadline_s)
            manifest |= {
                "ended": _stamp(time.time()),
                "seconds": {"copy": round(copied - began, 2), "ship": round(time.time() - copied, 2)},
            }
            manifest = _manifests.signed(manifest, place.signing_key)
            _files.write(folder / _files.MANIFEST, manifest)
            place.put(folder, job, backup, only=_files.MANIFEST)
        except CommandExecutionError as error:
            raise CommandExecutionError(f"{error}{_taken_back(place, job, backup)}") from error
        finally:
            _files.emptied(spool)
        _shipped(kind, state, manifest, options or {})
        return manifest


def holds(kind, directories=(), **_):
    """
    Tell whether this server has what a job backs up, and in which role. Tablespaces of its own are not covered by a backup, so
    a server of PostgreSQL that has some does not hold it; `why` names them.

    Returns ``{"holds": True, "role": "standby", "why": ""}``; `role` is ``primary`` or ``standby`` for PostgreSQL, else empty.

    CLI Example:

    .. code-block:: bash

        salt 'prod-db-*' backup.holds postgresql
    """
    try:
        if kind == "postgresql":
            cluster = _postgresql.facts()
            role, why = _postgresql.role(cluster), _postgresql.uncovered(cluster)
            return {"holds": not why, "role": role, "why": why}
        if kind == "zodb":
            _zodb.facts()
    except CommandExecutionError as error:
        return {"holds": False, "role": "", "why": str(error)}
    missing = [path for path in directories or () if not Path(path).is_dir()]
    return {"holds": not missing, "role": "", "why": f"there is no {', '.join(missing)}" if missing else ""}


def whose():
    """
    Tell what this server belongs to, as its own pillar has it (``saltlick: {environment: test, production: False}``).

    Returns ``{"environment": "test", "production": False}``; without such a key the environment is empty.

    CLI Example:

    .. code-block:: bash

        salt 'test-db-*' backup.whose
    """
    own = __pillar__.get("saltlick") or {}
    return {"environment": str(own.get("environment", "")), "production": bool(own.get("production", False))}


def catalogue(store, jobs):
    """
    Tell what a store has of these jobs.

    Returns ``{"manifests": [{…}], "unfinished": ["database/20261123T020000Z-full"], "unreadable": […]}``; manifests by job and
    id.

    Raises:
        CommandExecutionError: the store does not answer.

    CLI Example:

    .. code-block:: bash

        salt prod-db-2 backup.catalogue vault '[database]'
    """
    place = _stores.opened(__pillar__.get("stores"), store, __opts__)
    listing = {"manifests": [], "unfinished": [], "unreadable": []}
    for job in jobs:
        for backup, facts in _manifests.there(place, job).items():
            if isinstance(facts, CommandExecutionError):
                listing["unreadable"].append(f"{job}/{backup}")
            elif facts:
                listing["manifests"].append(facts)
            else:
                listing["unfinished"].append(f"{job}/{backup}")
    return listing


def verify(store, job, backup, deadline_s=3600):
    """
    Fetch a backup and compare every file with its manifest.

    Returns ``{"id": "…", "problems": ["base/base.tar.gz has other content …"], "size": …, "seconds": …}``.

    Raises:
        CommandExecutionError: there is no such backup, the store does not answer, or there is no room to fetch it.

    CLI Example:

    .. code-block:: bash

        salt prod-db-2 backup.verify vault database 20261123T020000Z-full
    """
    _files.named(job, backup)
    place, began = _stores.opened(__pillar__.get("stores"), store, __opts__), time.time()
    folder = _files.emptied(_base() / "verify" / job) / backup
    try:
        (manifest,) = _chains.manifests(place, job, [backup])
        _files.room(_chains.need(folder, [manifest]))
        problems = _chains.compared(place, job, manifest, folder, deadline_s)
    finally:
        _files.emptied(folder.parent)
    return {"id": backup, "problems": problems, "size": manifest["size"], "seconds": round(time.time() - began, 2)}


def prune(store, job, backups):
    """
    Delete backups from a store, and unfinished ones; the manifest first, so that what is half deleted counts no more.

    Returns the ids that were deleted.

    Raises:
        CommandExecutionError: the store does not answer, or does not let this user delete.

    CLI Example:

    .. code-block:: bash

        salt prod-db-2 backup.prune vault database '[20260101T020000Z-full]'
    """
    place = _stores.opened(__pillar__.get("stores"), store, __opts__)
    for backup in backups:
        _files.named(job, backup)
        place.delete(job, backup)
    return list(backups)


def restore(
    store,
    job,
    chain,
    kind,
    until="",
    scripts=(),
    checks=(),
    swap=False,
    production="",
    deadline_s=3600,
    anew=False,
    hold="",
    directories=(),
):
    """
    Restore a backup beside what serves, try it, and only then, with ``swap``, let it take its place.

    PostgreSQL recovers in a server of its own, without network; scripts and checks run there. What fails until then leaves
    everything as it was. Without ``swap`` all of it is removed again: a drill.

    chain
        ids of the full backup and the incremental ones after it, in order
    until
        a moment, ``2026-11-23 02:00:00+00``; empty for all there is (postgresql)
    scripts
        ``[{database: app, sql: "update …"}]``, each all or nothing, before the checks; of the other kinds ``[{command: "…",
        user: zeo}]``, which finds the data by ZODB_DATA and ZODB_BLOBS (zodb), or runs for each folder RESTORED (directories). A
        ``name`` is told when one fails
    checks
        ``[{name: notes, database: app, query: "select count(*) from notes", at_least: 1}]`` (or ``equals``), and
        ``[{name: starts, command: "…", user: app}]``, which has to exit with 0 and finds the database by PGHOST and PGPORT

    production
        ``yes, overwrite <environment>``: without these words no server whose own pillar says that it is of production lets what
        it has be replaced
    anew
        what the scripts left is written anew, so that no earlier revision of it is in a file: a new cluster of PostgreSQL, a new
        Data.fs; the former data is not kept where it may be the source's, too
    hold
        a name under which what is ready stays beside what serves, for ``backup.exchange``
    directories
        the folders to restore, as the job declares them: what a store says of its backups decides over no place

    Returns ``{"checks": [{name, value, ok}], "reached": "…", "seconds": {…}, "kept": "<where the former data is>", "notes":
    […]}``.

    Raises:
        CommandExecutionError: damaged, incomplete, a script or a check failed; what served goes on serving.

    CLI Example:

    .. code-block:: bash

        salt test-db-1 backup.restore vault database '[20261123T020000Z-full]' postgresql
    """
    if not chain or kind not in _restores.KINDS:
        raise CommandExecutionError(
            f"chain: ids of backups, kind: one of {', '.join(_restores.KINDS)}; not {chain!r}, {kind!r}"
        )
    for backup in chain:
        _files.named(job, backup)
    _masks.suit(kind, scripts)
    serves = bool(swap or hold)
    if serves:
        _overwritable(production)
    place = _stores.opened(__pillar__.get("stores"), store, __opts__)
    with _files.turn(_base(), "restoring"):
        folder = _files.emptied(_base() / "restore")
        _traces.removed(_base() / HELD)
        try:
            order = _chains.Order(
                place, job, tuple(chain), str(until), tuple(scripts), tuple(checks), bool(swap), float(deadline_s),
                serves and bool(anew), bool(hold), whose()["environment"], tuple(directories or ()),
            )  # fmt: skip
            outcome = _restores.KINDS[kind](order, folder)
        finally:
            _files.emptied(folder)
        if hold:
            _files.write(_base() / HELD, {**outcome.pop("held"), "kind": kind, "hold": hold})
        return outcome


def exchange(hold, production=""):
    """
    Let what ``backup.restore`` holds ready under that name take the place of what serves.

    Returns ``{"kept": "<where the former data is>"}``, empty where it is not kept.

    Raises:
        CommandExecutionError: nothing is held under that name, or it does not serve here; then the former data serves.

    CLI Example:

    .. code-block:: bash

        salt test-db-1 backup.exchange 'refresh test 7'
    """
    _overwritable(production)
    with _files.turn(_base(), "restoring"):
        held = _files.read(_base() / HELD)
        if held.get("hold") != hold:
            raise CommandExecutionError(f"{__opts__['id']} holds nothing ready under the name {hold!r}")
        kept = _restores.IN_PLACE[held["kind"]](held)
        _traces.removed(_base() / HELD)
        return {"kept": kept}


def discard():
    """
    Remove what an interrupted restore left beside what serves: fetched backups, the copy of a database, what is held ready.

    Returns the folders that were removed.

    Raises:
        CommandExecutionError: a restore runs at this moment, or something cannot be removed.

    CLI Example:

    .. code-block:: bash

        salt test-db-1 backup.discard
    """
    with _files.turn(_base(), "restoring"):
        _traces.cleared(_base() / "restore")
        _traces.removed(_base() / HELD)
        return _restores.discard()


def reseed(keep=True):
    """
    Make this server's database anew as a standby of the one that is the primary now; what it held is kept beside until the next
    time.

    keep
        without it nothing that was here stays: neither the former data, nor what an earlier restore kept, nor received WAL

    Returns ``{"role": "standby", "kept": "…"}``.

    Raises:
        CommandExecutionError: it is the primary, there is none elsewhere, or the copy failed; then it serves what it had.

    CLI Example:

    .. code-block:: bash

        salt test-db-2 backup.reseed
    """
    return _restores.reseed(keep)


def _overwritable(production):
    """CommandExecutionError on a server of production, unless the words are said."""
    own = whose()
    if own["production"] and production != f"yes, overwrite {own['environment']}":
        raise CommandExecutionError(
            f"{__opts__['id']} is of production ({own['environment']}): what it has is not overwritten"
        )


def recover_master(store, job="master", backup="", deadline_s=3600):
    """
    Make this machine the master that a backup is of: its keys, those of its minions, history, locks. Minions trust it as before.

    For a new master in place of one that is lost, on that machine and by ``salt-call`` only: the master is stopped for it, and
    its own minion restarted. What this master had is kept beside. The former master must be gone for good: two with one key
    would both be obeyed.

    store
        name of a store in this minion's pillar
    backup
        its id; left out, the newest

    Returns ``{"backup": "…", "kept": "<where the former things are>", "settings": [<files of master.d that were added>],
    "master_finger": "…", "minions": [<whose keys are accepted>]}``.

    Raises:
        CommandExecutionError: not by ``salt-call``, no such backup, or a damaged one; then nothing was touched.

    CLI Example:

    .. code-block:: bash

        salt-call backup.recover_master vault
    """
    if __opts__.get("__cli") != "salt-call":
        raise CommandExecutionError("this stops the master: call it on the master itself, with salt-call")
    place = _stores.opened(__pillar__.get("stores"), store, __opts__)
    wanted = backup or _latest(place, job).get("id", "")
    if not wanted:
        raise CommandExecutionError(f"store {store} has no finished backup of {job}")
    _files.named(job, wanted)
    with _files.turn(_base(), "restoring"):
        folder = _files.emptied(_base() / "restore")
        try:
            (manifest,) = _chains.manifests(place, job, [wanted])
            if manifest["kind"] != "master":
                raise CommandExecutionError(f"{job}/{wanted} is of kind {manifest['kind']}, and not of a master")
            _files.room(_chains.need(folder, [manifest]))
            _chains.whole(place, job, manifest, folder / wanted, deadline_s)
            services = {verb: __salt__[f"service.{verb}"] for verb in ("stop", "start", "restart")}
            return {"backup": wanted, **_master.recover(folder / wanted, __opts__, services, deadline_s)}
        finally:
            _files.emptied(folder)


def _taken(kind, folder, mode, ground, options, state, deadline_s):
    last, before, others = ground
    if kind == "postgresql":
        return _postgresql.take(folder, mode, last, before, options, deadline_s, others=others)
    if kind == "zodb":
        return _zodb.take(folder, mode, last, state, deadline_s)
    if kind == "directories":
        return _trees.take(folder, mode, last, options, state, deadline_s)
    if kind == "master":
        return _master.take(folder, __opts__, deadline_s)
    raise CommandExecutionError(f"{kind} is no kind of backup: postgresql, zodb, directories, master")


def _shipped(kind, state, manifest, options):
    if kind == "postgresql":
        if manifest["mode"] == "incr" or not options.get("any_moment"):
            _postgresql.shipped(manifest)
    else:
        _tar.shipped(state, manifest["id"])


def _ground(place, job, previous, follows, others):
    """The manifest of the backup that an increment builds on, or nothing; those of backups before it whose WAL it may go on from;
    and those of other timelines, on which it may build instead."""
    if previous is None:
        return _latest(place, job), [], []
    known = _chains.known(place, job)
    if previous not in known:
        return {}, [], []
    return known[previous], *([known[name] for name in names if name in known] for names in (follows, others))


def _latest(place, job):
    """The newest manifest of the job that the store has, or nothing."""
    manifests = _chains.known(place, job).values()
    return max(manifests, key=lambda manifest: (manifest["ended"], manifest["id"]), default={})


def _taken_back(place, job, backup):
    """What reached the store of a backup that failed is in the way of the next; says when it is still there."""
    try:
        place.delete(job, backup)
    except CommandExecutionError as error:
        return f"; what reached the store is still there, unfinished ({error})"
    return ""


def _stamp(moment):
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _base():
    return Path(__opts__.get("saltlick_backup_dir", BASE))
