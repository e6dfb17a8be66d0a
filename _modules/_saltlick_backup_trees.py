"""The folders of a job, an archive each. Sibling of `backup`."""

import grp
import pwd
import re
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_places as _places
    import _saltlick_backup_tar as _tar
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_places as _places
    from saltlick.modules import _saltlick_backup_tar as _tar

OWNERS = """find "$1" -printf '%u %g\\n' 2>/dev/null | sort -u"""
"""Every pair of owner and group, by name or else by number. What goes away meanwhile is not counted; tar says what cannot be
read. Source: GNU find."""


def take(folder, mode, last, options, state, deadline_s):
    """As `postgresql.take`, for the folders of a job: `options["directories"]`.

    The manifest has by folder its archive (`directories`) and its size in bytes (`raw_sizes`), the names of all who own
    something there (`owners`), and what an operator should know (`warnings`).
    """
    places = _places.apart(options["directories"], state)
    if missing := [path for path, place in places.items() if not place.is_dir()]:
        raise CommandExecutionError(f"{', '.join(missing)}: no folder here")
    archives = {path: f"{number:03d}-{_readable(path)}.tar.gz" for number, path in enumerate(places, 1)}
    before, why = _before(last, archives, state) if mode == "incr" else ({}, "")
    warnings = []
    for path, place in places.items():
        fresh = _tar.snapshot(state, folder.name, archives[path])
        moved = _tar.pack(place, folder / archives[path], fresh, before.get(path), deadline_s=deadline_s)
        warnings += [*_restless(path, moved), *_places.warnings(place)]
    sizes = {path: 1024 * _tar.kilobytes(place) for path, place in places.items()}
    return {
        "mode": "incr" if before else "full", "role": "", "raw_size": sum(sizes.values()), "raw_sizes": sizes,
        "directories": archives, "owners": _owners(places.values()), "warnings": warnings,
        "versions": {"tar": _commands.run(["tar", "--version"]).splitlines()[0]}, **({"why": why} if why else {}),
    }  # fmt: skip


def _readable(path):
    """For people who look into a store. The number before it is what tells archives apart: the manifest is their index."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", Path(path).name)[:60]


def _before(last, archives, state):
    """The snapshot file of each folder that an incremental backup goes on from; none, and why, where it cannot."""
    if not last:
        return {}, "there is no backup yet to go on from"
    held = last["directories"]
    if held.keys() != archives.keys():
        return {}, "the last backup is of other folders"
    files = {path: _tar.snapshot(state, last["id"], held[path]) for path in archives}
    if not all(file.exists() for file in files.values()):
        return {}, "this server does not know what the last backup held"
    return files, ""


def _restless(path, moved):
    if moved:
        some = ", ".join(moved[:3]) + (" …" if moved[3:] else "")
        yield f"{path}: {len(moved)} files or folders changed or went away while they were read: {some}"


def _owners(places):
    pairs = [line.split(" ", 1) for place in places for line in _pairs(place)]
    return {"users": sorted({user for user, _ in pairs}), "groups": sorted({group for _, group in pairs})}


def _pairs(place):
    return _commands.run(["sh", "-c", OWNERS, "sh", place]).splitlines()


def owners_known(manifest):
    """CommandExecutionError where a user or group that owns something in the backup is not here.

    By number, as tar takes it then, it may be somebody else's.
    """
    owners = manifest["owners"]
    users = [name for name in owners["users"] if not (name.isdigit() or _exists(pwd.getpwnam, name))]
    groups = [name for name in owners["groups"] if not (name.isdigit() or _exists(grp.getgrnam, name))]
    if users or groups:
        lacking = [f"{what} {', '.join(names)}" for what, names in (("users", users), ("groups", groups)) if names]
        raise CommandExecutionError(
            f"{manifest['job']}/{manifest['id']} has files of {' and '.join(lacking)}, who are not on this server:"
            " create them first, their numbers do not matter"
        )


def _exists(look, name):
    try:
        return bool(look(name))
    except KeyError:
        return False


def unpack(archives, target, manifest, deadline_s):
    """As `_saltlick_backup_tar.unpack`, by the one user that owns all of it; by root where it is several, or nobody here."""
    users, groups = manifest["owners"]["users"], manifest["owners"]["groups"]
    alone = len(users) == len(groups) == 1 and not users[0].isdigit() and _of(users[0], groups[0])
    _tar.unpack(archives, target, users[0] if alone else "", deadline_s)


def user(place, commands):
    """Who runs those scripts and checks of a folder that name no user: the owner of what is there now.

    Raises: CommandExecutionError where that is root, or nobody: a command becomes root only where it says so.
    """
    if all(command.get("user") for command in commands):
        return ""
    what = f"scripts and checks over {place} run as the owner of what is there"
    try:
        owner = place.lstat().st_uid
    except FileNotFoundError:
        raise CommandExecutionError(f"{what}, and there is nothing: say `user` in each") from None
    if owner == 0:
        raise CommandExecutionError(f"{what}, which is root: say `user` in each (`user: root`, if it has to be root)")
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        raise CommandExecutionError(f"{what}, and {owner} is no user here: say `user` in each") from None


def env(path):
    """What a script over a restored folder finds in its environment, by the folder that it is in."""
    return lambda restored: {"ORIGINAL": path, "RESTORED": str(restored)}


def _of(user, group):
    """Whether a user may give files to a group."""
    entry = _commands.account(user)
    return entry.pw_uid != 0 and _exists(grp.getgrnam, group) and grp.getgrnam(group).gr_gid == entry.pw_gid


def laid_out(manifests, path):
    """Bytes that a folder takes when it is restored."""
    return max(manifest["raw_sizes"][path] for manifest in manifests)
