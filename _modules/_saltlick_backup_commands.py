"""Commands of the tools that make backups: as their user, with nothing of the minion's own settings. Sibling of `backup`."""

import os

try:
    import _saltlick_user_command as _command
except ImportError:
    from saltlick.modules import _saltlick_user_command as _command

account, named = _command.account, _command.named


def run(
    command, user="", env=None, deadline_s=3600, output=None, allowed=(0,), remarks=None, given=None, shown=" ".join,
    source=None, cwd="/",
):  # fmt: skip
    """What a command prints, as text (see ``_saltlick_user_command.run``). Secrets in ``env`` or ``given`` are in no error."""
    return _command.run(
        command, user=user, environ=_environment(user, env), deadline_s=deadline_s, output=output, allowed=allowed,
        remarks=remarks, given=given, shown=shown, source=source, cwd=cwd,
    )  # fmt: skip


def _environment(user, more):
    """Nothing of the minion's own settings leads a database tool or a store astray."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "RSYNC", "RCLONE", "AWS_"))}
    return {**kept, **_command.named(user), "LC_ALL": "C", **(more or {})}


WRITE = 'umask 077; rm -f -- "$1" && set -C && cat >"$1"'
"""`set -C` makes it a new file: what a link leads to is not written."""


def write(path, text, user):
    """A file with that text, made by the user: in a folder of theirs root would write wherever they let it. Raises: as `run`."""
    run(["sh", "-c", WRITE, "sh", path], user=user, given=text, shown=lambda _: f"writing {path}")


def read(path, user):
    """A file's text, as far as the user may read it; empty where there is none."""
    return run(["sh", "-c", 'test ! -e "$1" || cat -- "$1"', "sh", path], user=user)
