"""A command that reaches nobody: no network, and no socket of the server that serves. Sibling of `backup`."""

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands

NAMESPACES = ["unshare", "--net", "--mount", "--propagation", "private", "--"]
"""A network with no interface that is up, and mounts that nobody else sees. Source: unshare(1), as root."""
HIDE = 'until [ "$1" = -- ]; do mount -t tmpfs -o size=4k,mode=0555 none "$1" || exit; shift; done; shift; exec "$@"'


def obstacle():
    """Why a command cannot be isolated on this server; empty where it can."""
    try:
        _commands.run([*NAMESPACES, "setpriv", "--no-new-privs", "true"], deadline_s=30)
    except CommandExecutionError as error:  # not Linux, not root, or a container without the right to
        return str(error)
    return ""


def isolated(command, user, hidden):
    """The words that run a command as `user` in namespaces of its own, the folders `hidden` empty for it. To be run as root.

    A socket that is a file belongs to no network: the copy would reach the server that serves over it.
    """
    entry = _commands.account(user)
    become = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups", "--no-new-privs", "--"]
    return [*NAMESPACES, "sh", "-c", HIDE, "saltlick", *hidden, "--", *become, *command]
