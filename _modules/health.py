"""Ask a service on this server whether it is healthy, and wait until it is.

A check answers with a plain dict when the service was healthy `successes` times in a row, and raises
CommandExecutionError, so that the command's exit code is not zero, when that was not seen within `deadline_s`.
The message says what was seen last.

Needs Salt and the standard library only, so a plain module sync carries it.
"""

import http.client as http_client
import os
import pwd
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from salt.exceptions import CommandExecutionError

MAX_BODY_BYTES = 1_000_000


def http(url, status=200, body=None, successes=1, interval_s=1, timeout_s=5, deadline_s=30, readiness_delay_s=0):
    """
    Wait until an address answers as it should.

    Redirections are answers, and not followed: a health page that redirects is not one.

    url
        what to fetch, with GET
    status
        the status that is healthy
    body
        text that the answer must hold; not looked at when None
    successes
        how many healthy answers in a row are wanted
    interval_s
        pause between two checks
    timeout_s
        how long one answer may take
    deadline_s
        how long all of it may take, from the first check on
    readiness_delay_s
        how long to wait before the first check: what has just been started cannot answer yet

    Returns ``{"healthy": True, "checks": 3, "seconds": 2.1, "last": "status 200"}``.

    Raises:
        CommandExecutionError: not healthy in time; says what was seen last.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' health.http http://127.0.0.1/health successes=3 deadline_s=60
    """
    expected = f"status {status}" + (f" with {body!r} in it" if body is not None else "")
    return _wait(
        f"{url}, expected {expected}", lambda left_s: _fetch(url, status, body, min(timeout_s, left_s)),
        successes, interval_s, deadline_s, readiness_delay_s,
    )  # fmt: skip


def tcp(host, port, successes=1, interval_s=1, timeout_s=5, deadline_s=30, readiness_delay_s=0):
    """
    Wait until a port accepts connections.

    host
        name or address
    port
        number of the port
    successes, interval_s, timeout_s, deadline_s, readiness_delay_s
        as for ``health.http``

    Returns ``{"healthy": True, "checks": 1, "seconds": 0.0, "last": "connected"}``.

    Raises:
        CommandExecutionError: no connection in time; says what was seen last.

    CLI Example:

    .. code-block:: bash

        salt 'prod-db-*' health.tcp 127.0.0.1 5432
    """
    return _wait(
        f"{host}:{port}", lambda left_s: _connect(host, int(port), min(timeout_s, left_s)),
        successes, interval_s, deadline_s, readiness_delay_s,
    )  # fmt: skip


def command(
    cmd, runas=None, retcode=0, successes=1, interval_s=1, timeout_s=5, deadline_s=30, readiness_delay_s=0, env=None
):  # fmt: skip
    """
    Wait until a command ends as it should.

    cmd
        what to run, in a shell
    runas
        as which user; the minion's own when None
    retcode
        the exit code that is healthy
    successes, interval_s, timeout_s, deadline_s, readiness_delay_s
        as for ``health.http``; a command that takes longer than `timeout_s` is ended
    env
        variables that it has in its environment, by name

    Returns ``{"healthy": True, "checks": 1, "seconds": 0.2, "last": "exit code 0"}``.

    Raises:
        CommandExecutionError: it did not end so in time; says how it ended last, and its last words.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' health.command 'bin/zopectl status | grep -q running' runas=plone
    """
    return _wait(
        f"{cmd}, expected exit code {retcode}", lambda left_s: _run(cmd, runas, int(retcode), min(timeout_s, left_s), env),
        successes, interval_s, deadline_s, readiness_delay_s,
    )  # fmt: skip


def _wait(what, check, successes, interval_s, deadline_s, readiness_delay_s):
    """Repeat a check until it was healthy often enough in a row. A check takes the seconds left and answers (healthy, seen)."""
    time.sleep(readiness_delay_s)
    started = time.monotonic()
    checks = streak = 0
    while True:
        left_s = deadline_s - (time.monotonic() - started)
        healthy, seen = check(max(left_s, 0.1))
        checks += 1
        streak = streak + 1 if healthy else 0
        seconds = round(time.monotonic() - started, 3)
        if streak >= successes:
            return {"healthy": True, "checks": checks, "seconds": seconds, "last": seen}
        if seconds + interval_s > deadline_s:
            raise CommandExecutionError(
                f"{what}: not healthy after {seconds} s and {checks} checks "
                f"({streak} of {successes} successes in a row); last seen: {seen}"
            )
        time.sleep(interval_s)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirection to be judged as the answer it is."""

    def redirect_request(self, *_args, **_kwargs):
        return None


# A proxy of the environment must not answer for the server itself.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _fetch(url, status, body, timeout_s):
    """(healthy, seen) of one request."""
    try:
        with _open(url, timeout_s) as answer:
            return _judge(answer, status, body)
    except (OSError, http_client.HTTPException) as error:
        return False, f"no answer: {getattr(error, 'reason', None) or error or type(error).__name__}"


def _open(url, timeout_s):
    """The answer, whatever its status."""
    try:
        return _OPENER.open(url, timeout=timeout_s)
    except urllib.error.HTTPError as answer:
        return answer


def _judge(answer, status, body):
    """(healthy, seen) of an answer that arrived."""
    seen = f"status {answer.status}"
    if answer.status != int(status):
        return False, seen
    if body is None:
        return True, seen
    text = answer.read(MAX_BODY_BYTES).decode("utf-8", "replace")
    return body in text, f"{seen}, body {text[:200]!r}"


def _connect(host, port, timeout_s):
    """(healthy, seen) of one connection."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True, "connected"
    except OSError as error:
        return False, f"no connection: {error or type(error).__name__}"


def _run(cmd, runas, retcode, timeout_s, env):
    """(healthy, seen) of one run of a command, in a session of its own so that all of it can be ended."""
    who = pwd.getpwnam(runas) if runas else None
    as_user = (
        {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": os.getgrouplist(runas, who.pw_gid)} if who else {}
    )
    home = {"HOME": who.pw_dir, "USER": runas, "LOGNAME": runas} if who else {}
    given = {name: str(value) for name, value in (env or {}).items()}
    with subprocess.Popen(  # noqa: S602 - the operator's own command line
        cmd, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
        env={**os.environ, **home, **given}, start_new_session=True, **as_user,
    ) as process:  # fmt: skip
        try:
            output = process.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return False, f"not done after {timeout_s:g} s"
    words = output.decode("utf-8", "replace").strip().splitlines()
    return process.returncode == retcode, f"exit code {process.returncode}" + (f": {words[-1][:200]}" if words else "")
