"""Folders, as GNU tar backs them up: whole, or what changed since. Sibling of `backup`.

tar keeps what it saw in a *snapshot file*. Each backup leaves its own here, so an incremental one goes on from exactly the
backup it names, whatever runs failed in between; without that file it becomes a full one.
"""

import shutil
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files

CHANGED_MEANWHILE = 1
"""Source: GNU tar's manual, exit status: some files differ, here those that were written to at that moment."""


def pack(source, archive, state, name, backup, last, exclude=(), deadline_s=3600):
    """Write a tar.gz of a folder: what changed since the backup `last`, or all where that is empty.

    Returns whether it is incremental.
    """
    source = Path(source)
    if not source.is_dir():
        raise CommandExecutionError(f"{source} is no folder here")
    fresh, before = snapshot(state, name, backup), snapshot(state, name, last) if last else None
    fresh.unlink(missing_ok=True)
    if before and before.exists():
        shutil.copyfile(before, fresh)
    words = [f"--exclude={pattern}" for pattern in exclude]
    command = ["tar", "-C", source, f"--listed-incremental={fresh}", "--numeric-owner", *words, "-czf", archive, "."]
    _commands.run(command, env={"GZIP": ""}, deadline_s=deadline_s, allowed=(0, CHANGED_MEANWHILE))
    return bool(before and before.exists())


def snapshot(state, name, backup):
    """Where the snapshot file of a backup is."""
    return state / f"{name}.{backup}.snar"


def known(state, name, backup):
    """Whether an incremental backup can go on from that one."""
    return bool(backup) and snapshot(state, name, backup).exists()


def shipped(state, backup):
    """Of earlier backups no snapshot file is wanted any more."""
    for path in state.glob("*.snar"):
        if f".{backup}." not in path.name:
            path.unlink()


def unpack(archives, target, deadline_s=3600):
    """A folder as it was at the last of these archives: what was deleted in between is gone again."""
    _files.made(Path(target))
    for archive in archives:
        _commands.run(
            ["tar", "-C", target, "--listed-incremental=/dev/null", "--numeric-owner", "-xzf", archive],
            deadline_s=deadline_s,
        )


def take(folder, mode, last, options, state, deadline_s):
    """As `postgresql.take`, for the folders of a job: `options["directories"]`."""
    base = last["id"] if mode == "incr" and last else ""
    names = {path: path.strip("/").replace("/", "-") for path in options["directories"]}
    why = ""
    if mode == "incr" and not all(known(state, name, base) for name in names.values()):
        why, base = "this server does not know what the last backup held", ""
    for path, name in names.items():
        pack(path, folder / f"{name}.tar.gz", state, name, folder.name, base, deadline_s=deadline_s)
    size = sum(
        file.stat().st_size
        for path in names
        for file in Path(path).rglob("*")
        if file.is_file() and not file.is_symlink()
    )
    version = _commands.run(["tar", "--version"]).splitlines()[0]
    facts = {"mode": "incr" if base else "full", "raw_size": size, "role": "", "versions": {"tar": version}}
    return {
        **facts,
        **({"why": why} if why else {}),
        "directories": {path: f"{name}.tar.gz" for path, name in names.items()},
    }
