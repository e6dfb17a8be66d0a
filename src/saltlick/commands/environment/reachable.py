"""The smoke check as a state: the page comes through the environment's load balancers, and the comment says who answered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from saltlick import aws
from saltlick.commands.environment.estate import environments_of
from saltlick.commands.job import job_progress
from saltlick.commands.result import plain
from saltlick.commands.state import state
from saltlick.environment import smoke
from saltlick.kinds import KINDS
from saltlick.salt_io.pillar import require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.jobs.request import Caller


def reachable(
    opts: Mapping[str, Any], name: str, *, url: str | None = None, deadline_s: float | None = None, caller: Caller
) -> dict[str, Any]:
    """Wait until the balancers find all servers well; ask each public page, or only `url`, until it is well several times."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        declared = environments_of(opts, name)[name]
        if opts.get("test"):
            return {"comment": f"the pages of {name} would be asked"}
        cloud = aws.connect(declared.region)
        urls = (url,) if url else smoke.pages(declared, cloud, KINDS)
        limit_s = declared.deadlines.smoke_s if deadline_s is None else float(deadline_s)
        with job_progress(opts, caller.job_id) as progress:
            if not url:
                look = partial(smoke.targets, declared, cloud, KINDS)
                smoke.all_well(look, deadline_s=limit_s, clock=cloud.clock)
            answers = smoke.check(urls, requests=smoke.rounds(declared), deadline_s=limit_s, clock=cloud.clock)
            for line in dict.fromkeys(_who(answer) for answer in answers):
                progress.line(line)
            progress.step(name, "reachable", pages=plain(smoke.summary(answers)))
        return {"comment": "\n".join(map(str, answers)) or f"{name} has no public balancer"}

    return state(name, step)


def _who(answer: smoke.HttpProbe) -> str:
    return f"{answer.url} answers: {answer.server or answer.status} {answer.revision[:12]}".rstrip()
