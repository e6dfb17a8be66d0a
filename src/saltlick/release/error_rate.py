"""What the visitors of a server that is back got: the share of answers with a status of 5xx, from the server's own log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.release.steps import server_calls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from saltlick.release.run import Run
    from saltlick.release.step_result import Failed

ASK_S = 20.0
BEFORE_S = 300.0
"""How far back before the release the server's usual share is looked for."""
LEAST_REQUESTS = 20
"""Of fewer, one error would decide."""
ALL = 100


def failing_visitors(run: Run, servers: Sequence[str], since: float) -> Failed:
    """Those of the servers whose share of errors since then (seconds of the epoch) is beyond what the recipe allows, and why.

    What a server answered with errors before the release too is no fault of the revision. A server that does not tell is not
    ill by that.
    """
    traffic, most = run.recipe.traffic, run.recipe.strategy.max_errors
    if traffic is None or most >= ALL or not servers:
        return {}
    now = _asked(run, traffic.log, servers, since, run.context.epoch())
    suspects = {
        server: seen for server, seen in now.items() if seen["requests"] >= LEAST_REQUESTS and _share(seen) > most
    }
    if not suspects:
        return {}
    before = _asked(run, traffic.log, tuple(suspects), run.head.started - BEFORE_S, run.head.started)
    usual = {server: _share(before[server]) if server in before else 0.0 for server in suspects}
    return {
        server: f"back in traffic, and then {seen['errors']} of {seen['requests']} requests were answered with an error (5xx), "
        f"{_share(seen):.0f} %, {usual[server]:.0f} % before the release"
        for server, seen in suspects.items()
        if _share(seen) - usual[server] > most
    }


def _asked(run: Run, log: str, servers: Sequence[str], since: float, until: float) -> dict[str, Mapping[str, Any]]:
    call = server_calls.request_errors(log, since, until)
    replies = run.context.fleet.run(dict.fromkeys(servers, call), deadline_s=ASK_S)
    return {server: reply.value for server, reply in replies.items() if reply.ok and isinstance(reply.value, dict)}


def _share(seen: Mapping[str, Any]) -> float:
    """Percent; 0 where there was no request."""
    return 100 * seen["errors"] / seen["requests"] if seen["requests"] else 0.0
