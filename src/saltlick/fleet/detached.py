"""Calls that may take long, through the minion module `detached`: started once per job id, then asked for until they are over.

Salt gives a busy minion up long before a build is done; a detached job belongs to nobody but its server, and its id is the
same after a resume, so what runs or ran already is never run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from saltlick.engine.ports import Clock
from saltlick.fleet.answers import parsed
from saltlick.fleet.ports import Call, Fleet, Reply

ASK_S = 60.0
"""How long a server may take to say that it began, or how far it is."""
GRACE_S = 60.0
"""How much longer than its own deadline a job is asked for: the server ends it itself, and says so."""
FIRST_S, GROWTH, LONGEST_S = 0.5, 1.5, 10.0
SILENT_LIMIT = 3
"""A loaded server may miss an answer; that many in a row and it is gone."""


def run_detached(
    fleet: Fleet,
    clock: Clock,
    calls: Mapping[str, Call],
    *,
    job: str,
    deadline_s: float,
    stop: Callable[[], str] = lambda: "",
) -> dict[str, Reply]:
    """Run each server's call as the job of that id; one reply per server, whatever happens.

    As soon as `stop` says why, jobs that still run are killed, and that is their reply.
    """
    starts = {server: _start(job, call, deadline_s) for server, call in calls.items()}
    replies = {server: reply for server, reply in fleet.run(starts, deadline_s=ASK_S).items() if not reply.ok}
    waiting = [server for server in calls if server not in replies]
    unheard: dict[str, int] = {}
    began, pause_s = clock.now(), FIRST_S
    while waiting:
        if why := stop():
            fleet.run(dict.fromkeys(waiting, Call("detached.kill", (job,))), deadline_s=ASK_S)
            replies |= dict.fromkeys(waiting, Reply(False, error=why))
            break
        answers = fleet.run(dict.fromkeys(waiting, Call("detached.status", (job,))), deadline_s=ASK_S)
        overdue = clock.now() - began > deadline_s + GRACE_S
        for server, answer in answers.items():
            unheard[server] = unheard.get(server, 0) + 1 if answer.silent else 0
            if reply := _over(answer, gone=unheard[server] >= SILENT_LIMIT, overdue=overdue):
                reply = parsed(server, calls[server], reply)
                replies[server] = replace(reply, duration_ms=round((clock.now() - began) * 1000))
        if waiting := [server for server in waiting if server not in replies]:
            clock.sleep(pause_s)
            pause_s = min(pause_s * GROWTH, LONGEST_S)
    return {server: replies[server] for server in calls}


def _start(job: str, call: Call, deadline_s: float) -> Call:
    how = {"args": list(call.args), "kwargs": dict(call.kwargs), "deadline_s": deadline_s}
    return Call("detached.start", (job, call.function), how)


def _over(answer: Reply, *, gone: bool, overdue: bool) -> Reply | None:
    """The job's reply, or None while it runs."""
    if answer.silent:
        return answer if gone or overdue else None
    if not answer.ok:
        return answer
    status: Mapping[str, Any] = answer.value if isinstance(answer.value, Mapping) else {}
    state = status.get("state", "unknown")
    if state == "done":
        return Reply(True, status.get("value"))
    if state == "running" and not overdue:
        return None
    return Reply(False, status.get("value"), error=_why(state, status))


def _why(state: str, status: Mapping[str, Any]) -> str:
    reason = str(status.get("error") or "").strip() or f"the job is {state}"
    tail = str(status.get("output_tail") or "").strip().splitlines()
    return f"{reason}; last output: {tail[-1].strip()}" if tail and tail[-1].strip() not in reason else reason
