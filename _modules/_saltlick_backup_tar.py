"""A folder as an archive of GNU tar, whole or what changed since, and back. Sibling of `backup`.

tar keeps what it saw in a *snapshot file*. Each backup leaves its own here, so an incremental one goes on from exactly the
backup it names, whatever runs failed in between; without that file it becomes a full one.

Archives hold permissions, owners by name and number, ACLs, extended attributes, capabilities, holes of sparse files, links,
devices and named pipes. They hold no sockets: a socket is made by the process that listens.
"""

import os
import re
import shutil
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_archives as _archives
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
except ImportError:
    from saltlick.modules import _saltlick_backup_archives as _archives
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files

ATTRIBUTES = ("--acls", "--xattrs", "--xattrs-include=*")
CHANGED_MEANWHILE = 1
"""Source: GNU tar's manual, exit status: some files differ, here those that were written to at that moment."""

# A folder that goes away between tar's look at the tree and its read is an error to tar (exit status 2), where a file that goes
# away is a remark. The exit status does not tell one from a disk that cannot be read; only the lines do. LC_ALL is C.
LIVING = re.compile(
    r"(/\S+/)?tar: (?P<name>\./.*): ("
    r"file changed as we read it|File removed before we read it|File shrank by \d+ bytes?; padding with zeros"
    r"|(Warning: )?Cannot \w+: (No such file or directory|Not a directory))"
)
REMARK = re.compile(r"(/\S+/)?tar: .*: (socket ignored|door ignored|Directory (is new|has been renamed.*))")
ENDED = re.compile(r"(/\S+/)?tar: Exiting with failure status due to previous errors")
LOST = re.compile(r"(/\S+/)?tar: setxattrat: ")
"""An extended attribute or ACL that an archive has and the file system does not take: tar warns, with exit status 0."""

SNAPSHOT = re.compile(rb"(\d+\0-?\d+\0\d+\0)\d+(\0\d+\0[^\0]+\0(?=[A-Z\0]).*?\0\0)(?=\d|\Z)", re.DOTALL)
"""A folder in a snapshot file: nfs, seconds, nanoseconds, device, inode, name, entries. Source: GNU tar's manual, format 2."""
HEADER = re.compile(rb"GNU tar-[^\n]*-2\n\d+\0\d+\0")


def pack(source, archive, fresh, before=None, exclude=(), deadline_s=3600):
    """Write a tar.gz of a folder: what changed since the snapshot file `before`, or all without one; `fresh` is the new one.

    Returns the names that changed or went away while they were read. Raises: CommandExecutionError.
    """
    fresh.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh.unlink(missing_ok=True)
    if before:
        shutil.copyfile(before, fresh)
    # Devices get other numbers when a server starts anew, and _without_devices takes them out of the snapshot file.
    words = [f"--listed-incremental={fresh}", "--no-check-device", *(f"--exclude={pattern}" for pattern in exclude)]
    lines = []
    try:
        _commands.run(
            ["tar", "-C", source, *ATTRIBUTES, "--sparse", *words, "-czf", archive, "."],
            env={"GZIP": ""}, deadline_s=deadline_s, allowed=(0, CHANGED_MEANWHILE), remarks=lines,
        )  # fmt: skip
    except CommandExecutionError:
        errors = [line for line in lines if not REMARK.fullmatch(line)]
        if not (errors and ENDED.fullmatch(errors[-1]) and all(LIVING.fullmatch(line) for line in errors[:-1])):
            raise
    _without_devices(fresh)
    return sorted({match["name"] for line in lines if (match := LIVING.fullmatch(line))})


def _without_devices(snapshot):
    """Let tar take a folder that was renamed for a new one.

    By device and inode it knows it again, and then its archives hold renames. Where folders change places, or one goes below
    what was below it, tar cannot repeat those (measured with 1.34: "Cannot rename", and folders that are left over).
    """
    raw = snapshot.read_bytes()
    header = HEADER.match(raw)
    if not header or SNAPSHOT.sub(b"", raw[header.end() :]):
        snapshot.unlink()  # not the format that is known here: the next backup is a full one
        return
    snapshot.write_bytes(header[0] + SNAPSHOT.sub(rb"\g<1>0\g<2>", raw[header.end() :]))


def unpack(archives, target, user="", deadline_s=3600):
    """A folder as it was at the last of these archives: what was deleted in between is gone again.

    `target` lies where only root may enter. All is done by `user`, who owns all of it, unless an archive holds what only root can
    make. Raises: CommandExecutionError, also where the file system takes no extended attributes or ACLs that an archive has.
    """
    _files.fresh(target)  # of root's alone, until tar gives it what it had
    for number, archive in enumerate(archives):
        who = "" if _archives.look(archive, target, follows=number > 0) else user
        if number:
            _bare(target)
        elif who:
            entry = _commands.account(who)
            os.chown(target, entry.pw_uid, entry.pw_gid)
        lines = []
        words = ["--listed-incremental=/dev/null", "--same-owner", "-xzpf", "-"]
        with Path(archive).open("rb") as source:
            _commands.run(
                ["tar", *ATTRIBUTES, *words], user=who, cwd=target, source=source, deadline_s=deadline_s, remarks=lines
            )
        if lost := [line for line in lines if LOST.match(line)]:
            raise CommandExecutionError(
                f"the file system of {target} does not take what the backup has: {' / '.join(lost[:3])}"
            )


def _bare(target):
    """Folders without extended attributes and ACLs: tar sets those that an archive has, and takes none away.

    Every archive has every folder; files it replaces.
    """
    for _, _, _, folder in os.fwalk(os.fsencode(target)):
        for name in os.listxattr(folder):
            if name != "security.selinux":
                os.removexattr(folder, name)


def snapshot(state, backup, archive):
    """Where the snapshot file of an archive of a backup is."""
    return state / "snapshots" / backup / f"{archive}.snar"


def renamed(state, backup, became):
    """The snapshot files go with a backup that got another id."""
    there = state / "snapshots" / backup
    if there.exists():
        there.rename(there.with_name(became))


def shipped(state, backup):
    """Of earlier backups no snapshot file is wanted any more."""
    for path in (state / "snapshots").glob("*"):
        if path.name != backup:
            shutil.rmtree(path)


def kilobytes(source):
    """What a folder takes on the disk, in units of 1024 bytes; what goes away meanwhile is not counted."""
    printed = _commands.run(["du", "-sk", source], allowed=(0, 1)).split()
    if not printed:
        raise CommandExecutionError(f"{source} went away while it was backed up")
    return int(printed[0])
