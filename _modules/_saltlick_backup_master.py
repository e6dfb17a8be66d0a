"""What a Salt master remembers: its keys, those of its minions, and Saltlick's store with the locks. Sibling of `backup`.

Minions trust the master by its key: a new master with another one is a stranger to all of them. The store is copied by SQLite's
own backup API, for it is written to at any moment.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import salt.config
import salt.utils.crypt
import salt.version
from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_archives as _archives
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_traces as _traces
except ImportError:
    from saltlick.modules import _saltlick_backup_archives as _archives
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_traces as _traces

STORE = "saltlick.sqlite"
BUSY_S = 60
SERVICE = "salt-master"
KEPT = "before-recovery"


class Places:
    """Where this machine's master and its own minion keep what counts."""

    def __init__(self, opts):
        self.etc = Path(opts["conf_dir"])
        master = salt.config.client_config(str(self.etc / "master"))
        self.id = opts["id"]
        self.hash_type = opts["hash_type"]
        self.keys = Path(master["pki_dir"])
        self.memory = Path(master["cachedir"]) / "saltlick"
        self.settings = self.etc / "master.d"
        self.minion_keys = Path(opts["pki_dir"])
        if not (self.keys / "master.pem").is_file():
            raise CommandExecutionError(f"{self.keys}/master.pem is not there: {self.id} is no Salt master")

    def finger(self, keys):
        """The fingerprint by which minions know the master of that folder of keys."""
        return salt.utils.crypt.pem_finger(str(keys / "master.pub"), sum_type=self.hash_type)


def take(folder, opts, deadline_s):
    """As `postgresql.take`. Raises: CommandExecutionError."""
    places = Places(opts)
    if (places.memory / STORE).is_file():
        _copied(places.memory / STORE, folder / STORE)
    _pack(places.keys, folder / "keys.tar.gz", deadline_s)
    if places.settings.is_dir():
        _pack(places.settings, folder / "settings.tar.gz", deadline_s)
    if places.memory.is_dir():
        _pack(places.memory, folder / "memory.tar.gz", deadline_s, f"--exclude=./{STORE}*", f"--exclude=./{KEPT}")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"mode": "full", "raw_size": size, "role": "", "versions": {"salt": str(salt.version.__version__)}}


def _copied(source, target):
    """A copy of a database that others write to, as it was at one moment."""
    try:
        with closing(sqlite3.connect(source, timeout=BUSY_S)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except sqlite3.DatabaseError as error:
        raise CommandExecutionError(f"{source} cannot be copied: {error}") from error
    target.chmod(0o600)
    _sound(target)


def _sound(database):
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as copy:
            (answer,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        answer = str(error)
    if answer != "ok":
        raise CommandExecutionError(f"{database.name} is damaged: {answer}")


def _pack(source, archive, deadline_s, *words):
    command = ["tar", "-C", source, "--numeric-owner", *words, "-czf", archive, "."]
    _commands.run(command, env={"GZIP": ""}, deadline_s=deadline_s, allowed=(0, 1))
    archive.chmod(0o600)


def recover(folder, opts, services, deadline_s):
    """Put a backup from a local folder in the place of what this machine's master has, which is kept beside.

    All of it is unpacked and looked at beforehand. ``services`` are the functions ``stop``, ``start`` and ``restart``.

    Raises: CommandExecutionError.
    """
    places = Places(opts)
    fresh = _unpacked(folder, places, deadline_s)
    services["stop"](SERVICE)
    try:
        kept = _exchanged(fresh, places)
        added = _settings(fresh, places)
        _own_minion(places, places.finger(kept / "keys"), places.finger(places.keys))
    finally:
        services["start"](SERVICE)
    services["restart"]("salt-minion")
    return {
        "kept": str(kept),
        "settings": added,
        "master_finger": places.finger(places.keys),
        "minions": sorted(path.name for path in (places.keys / "minions").glob("*") if path.name != places.id),
    }


def _unpacked(folder, places, deadline_s):
    """The parts of a backup beside the places that they are for, so that a rename suffices."""
    fresh = {"keys": places.keys.with_name(f"{places.keys.name}.recovered"), "memory": None, "settings": None}
    fresh["memory"] = places.memory.with_name("saltlick.recovered")
    fresh["settings"] = folder / "settings"
    for part, target in fresh.items():
        _traces.removed(target)
        _files.fresh(target)
        if (archive := folder / f"{part}.tar.gz").is_file():
            _archives.look(archive, target)
            _commands.run(["tar", "-C", target, "--numeric-owner", "-xpzf", archive], deadline_s=deadline_s)
    if not (fresh["keys"] / "master.pem").is_file() or not (fresh["keys"] / "master.pub").is_file():
        raise CommandExecutionError("the backup holds no key of a master")
    if (folder / STORE).is_file():
        _sound(folder / STORE)
        shutil.copyfile(folder / STORE, fresh["memory"] / STORE)
        (fresh["memory"] / STORE).chmod(0o600)
    return fresh


def _exchanged(fresh, places):
    """Rename what is there to `before-recovery`, and what was unpacked to its place; where the former things are."""
    kept = places.memory.with_name(f"saltlick.{KEPT}")
    _traces.removed(kept)
    _files.fresh(kept)
    shutil.copytree(places.keys, kept / "keys")
    if places.memory.is_dir():
        places.memory.rename(kept / "memory")
    fresh["memory"].rename(places.memory)
    # The folder itself stays: it may be a mount, and its owner and mode are this system's.
    for path in list(places.keys.iterdir()):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in list(fresh["keys"].iterdir()):
        path.replace(places.keys / path.name)
    fresh["keys"].rmdir()
    return kept


def _settings(fresh, places):
    """Files of the former master's own configuration that this one has not; those that it has stay as they are."""
    added = []
    for path in sorted(fresh["settings"].rglob("*")):
        target = places.settings / path.relative_to(fresh["settings"])
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
            added.append(str(target))
    return added


def _own_minion(places, former, recovered):
    """This machine's own minion has a key of its own, and knows the master by the key that was there before."""
    for state in ("minions_pre", "minions_rejected", "minions_denied"):
        (places.keys / state / places.id).unlink(missing_ok=True)
    (places.keys / "minions").mkdir(exist_ok=True)
    shutil.copyfile(places.minion_keys / "minion.pub", places.keys / "minions" / places.id)
    (places.minion_keys / "minion_master.pub").unlink(missing_ok=True)
    for path in [places.etc / "minion", *sorted((places.etc / "minion.d").glob("*.conf"))]:
        if path.is_file() and former in (text := path.read_text("utf-8")):
            path.write_text(text.replace(former, recovered), "utf-8")
