"""Commands of the tools that make backups: as their user, with nothing of the minion's own settings. Sibling of `backup`."""

import os

try:
    import _saltlick_user_command as _command
except ImportError:
    from saltlick.modules import _saltlick_user_command as _command

account, named = _command.account, _command.named


def run(command, user="", env=None, deadline_s=3600, output=None, allowed=(0,), shown=" ".join):
    """What a command prints, as text (see ``_saltlick_user_command.run``). Secrets come by ``env`` and are in no error."""
    environ = _environment(user, env)
    return _command.run(
        command, user=user, environ=environ, deadline_s=deadline_s, output=output, allowed=allowed, shown=shown
    )


def _environment(user, more):
    """Nothing of the minion's own settings leads a database tool or a store astray."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "RSYNC", "RCLONE", "AWS_"))}
    return {**kept, **_command.named(user), "LC_ALL": "C", **(more or {})}
