"""Commands of the tools that make backups: as their user, with nothing of the minion's own settings. Sibling of `backup`."""

import os

try:
    import _saltlick_user_command as _command
except ImportError:
    from saltlick.modules import _saltlick_user_command as _command

account, named = _command.account, _command.named


def run(
    command, user="", env=None, deadline_s=3600, output=None, allowed=(0,), remarks=None, given=None, shown=" ".join
):  # fmt: skip
    """What a command prints, as text (see ``_saltlick_user_command.run``). Secrets in ``env`` or ``given`` are in no error."""
    return _command.run(
        command, user=user, environ=_environment(user, env), deadline_s=deadline_s, output=output, allowed=allowed,
        remarks=remarks, given=given, shown=shown,
    )  # fmt: skip


def _environment(user, more):
    """Nothing of the minion's own settings leads a database tool or a store astray."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "RSYNC", "RCLONE", "AWS_"))}
    return {**kept, **_command.named(user), "LC_ALL": "C", **(more or {})}
