"""Take servers of a local HAProxy out of its traffic and put them back, over its runtime socket.

Each call asks once and waits for nothing; whoever releases looks again until the sessions are gone. HAProxy answers mistakes
with a text like any other answer: here they are errors.

Source: HAProxy's Management Guide, section 9 (`set server`, `show stat`, `show servers state`), and `include/types/server.h`.

Needs Salt and the standard library only, so a plain module sync carries it.
"""

import csv
import socket as sockets

from salt.exceptions import CommandExecutionError

SOCKET = "/run/haproxy/admin.sock"
TIMEOUT_S = 5
# Bits of srv_admin_state, as HAProxy's own masks have them. 0x04, what its file said once, stays set for ever.
_MAINT, _DRAIN = 0x01 | 0x02 | 0x20, 0x08 | 0x10


def show(backend, socket=SOCKET, timeout_s=TIMEOUT_S):
    """
    Show the servers of a backend as HAProxy sees them.

    backend
        name of the backend
    socket
        path of a runtime socket of level admin
    timeout_s
        how long HAProxy may take to answer

    Returns by server ``{"admin": "ready", "status": "UP", "check": "L7OK", "sessions": 3, "queue": 0, "address": "[::1]:80"}``.
    `admin` is what was ordered (``ready``, ``drain``, ``maint``), `status` what HAProxy makes of it (``UP``, ``DOWN``, ``DRAIN``,
    ``MAINT``, ``no check``, …); `sessions` are under way now, `queue` wait for it.

    Raises:
        CommandExecutionError: no socket, no such backend, or nobody answers.

    CLI Example:

    .. code-block:: bash

        salt 'prod-proxy-*' haproxy_runtime.show app
    """
    _word(backend)
    admin = {row["srv_name"]: row for row in _states(backend, socket, timeout_s)}
    table = _table(_ask("show stat", socket, timeout_s), "# ", ",")
    rows = {row["svname"]: row for row in table if row["pxname"] == backend and row["svname"] in admin}
    return {name: _seen(admin[name], rows.get(name, {})) for name in admin}


def sessions(backend, server, socket=SOCKET, timeout_s=TIMEOUT_S):
    """
    Count the sessions that a server has now.

    backend, socket, timeout_s
        as for ``haproxy_runtime.show``
    server
        name of the server in that backend

    Returns the number.

    Raises:
        CommandExecutionError: as for ``haproxy_runtime.show``, or no such server.

    CLI Example:

    .. code-block:: bash

        salt 'prod-proxy-*' haproxy_runtime.sessions app app-9001
    """
    return _row(backend, server, socket, timeout_s)["sessions"]


def drain(backend, server, socket=SOCKET, timeout_s=TIMEOUT_S):
    """
    Give a server no new sessions; those under way go on, and checks as well.

    backend, server, socket, timeout_s
        as for ``haproxy_runtime.sessions``

    Returns ``{"before": "ready", "now": "drain", "changed": True, "sessions": 3}``.

    Raises:
        CommandExecutionError: as for ``haproxy_runtime.sessions``, or the socket may not change anything.

    CLI Example:

    .. code-block:: bash

        salt 'prod-proxy-*' haproxy_runtime.drain app app-9001
    """
    return _set(backend, server, "drain", socket, timeout_s)


def maint(backend, server, socket=SOCKET, timeout_s=TIMEOUT_S):
    """
    Take a server out altogether: no new sessions, no checks.

    backend, server, socket, timeout_s
        as for ``haproxy_runtime.sessions``

    Returns ``{"before": "drain", "now": "maint", "changed": True, "sessions": 0}``.

    Raises:
        CommandExecutionError: as for ``haproxy_runtime.drain``.

    CLI Example:

    .. code-block:: bash

        salt 'prod-proxy-*' haproxy_runtime.maint app app-9001
    """
    return _set(backend, server, "maint", socket, timeout_s)


def ready(backend, server, socket=SOCKET, timeout_s=TIMEOUT_S):
    """
    Let a server have traffic again, as soon as its checks find it healthy.

    backend, server, socket, timeout_s
        as for ``haproxy_runtime.sessions``

    Returns ``{"before": "maint", "now": "ready", "changed": True, "sessions": 0}``.

    Raises:
        CommandExecutionError: as for ``haproxy_runtime.drain``.

    CLI Example:

    .. code-block:: bash

        salt 'prod-proxy-*' haproxy_runtime.ready app app-9001
    """
    return _set(backend, server, "ready", socket, timeout_s)


def _set(backend, server, wanted, socket, timeout_s):
    before = _row(backend, server, socket, timeout_s)["admin"]
    if before != wanted:
        command = f"set server {backend}/{server} state {wanted}"
        if refusal := _ask(command, socket, timeout_s).strip():
            raise CommandExecutionError(f"{command}: HAProxy says {refusal!r}")
    now = _row(backend, server, socket, timeout_s)
    if now["admin"] != wanted:
        raise CommandExecutionError(
            f"{backend}/{server} is {now['admin']}, though HAProxy took the order to make it {wanted}"
        )
    return {"before": before, "now": wanted, "changed": before != wanted, "sessions": now["sessions"]}


def _row(backend, server, socket, timeout_s):
    _word(server)
    servers = show(backend, socket, timeout_s)
    if server not in servers:
        raise CommandExecutionError(f"{backend} has no server {server}; it has {', '.join(servers) or 'none'}")
    return servers[server]


def _seen(state, row):
    flags = int(state["srv_admin_state"])
    address, port = state["srv_addr"], state.get("srv_port", "0")
    return {
        "admin": "maint" if flags & _MAINT else "drain" if flags & _DRAIN else "ready",
        "status": row.get("status", "").strip(),
        "check": row.get("check_status", "").lstrip("* "),
        "sessions": int(row.get("scur") or 0),
        "queue": int(row.get("qcur") or 0),
        "address": f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
    }


def _states(backend, socket, timeout_s):
    answer = _ask(f"show servers state {backend}", socket, timeout_s)
    version, _, rest = answer.partition("\n")
    if version.strip() != "1":
        raise CommandExecutionError(f"{backend}: HAProxy says {answer.strip()!r}")
    return _table(rest, "# ", " ")


def _table(answer, head, between):
    lines = [line for line in answer.splitlines() if line.strip()]
    if not lines or not lines[0].startswith(head):
        raise CommandExecutionError(f"HAProxy says {answer.strip()!r}")
    return list(csv.DictReader([lines[0][len(head) :], *lines[1:]], delimiter=between))


def _word(name):
    """A command's words are parted by spaces, commands by semicolons and line ends."""
    if not name or any(not (sign.isalnum() or sign in "._:-") for sign in str(name)):
        raise CommandExecutionError(f"{name!r} cannot be the name of a backend or server")


def _ask(command, socket, timeout_s):
    """HAProxy's answer to one command; it ends the connection after it."""
    pieces = []
    try:
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as line:
            line.settimeout(timeout_s)
            line.connect(str(socket))
            line.sendall(f"{command}\n".encode())
            while piece := line.recv(65536):
                pieces.append(piece)
    except FileNotFoundError:
        raise CommandExecutionError(
            f"{socket} does not exist: HAProxy is not running, or its runtime socket is elsewhere"
        ) from None
    except OSError as error:
        raise CommandExecutionError(f"{socket}: {command}: {error or type(error).__name__}") from error
    answer = b"".join(pieces).decode("utf-8", "replace")
    if "Permission denied" in answer.partition("\n")[0]:
        raise CommandExecutionError(f"{socket}: {command}: {answer.strip()}: the socket is not of level admin")
    return answer
