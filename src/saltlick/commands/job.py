"""What runners and states do alike around the core: take the lock, tell of it, carry a plan out, tell of that."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from saltlick.commands.lock import environment_locks, wait_seconds
from saltlick.environment import provision
from saltlick.jobs.holder import Mode
from saltlick.kinds import KINDS
from saltlick.salt_io.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from saltlick.engine.apply import Report
    from saltlick.engine.plan import Plan
    from saltlick.engine.ports import Cloud
    from saltlick.environment.provision import Estate


@contextlib.contextmanager
def locked_work(
    opts: Mapping[str, Any],
    names: Sequence[str],
    *,
    reason: str,
    job: str = "",
    user: str = "",
    lock_wait: object = 0,
    mode: Mode = Mode.JOB,
) -> Iterator[Progress]:
    """Progress to tell of work on these environments, which nobody else touches meanwhile.

    Raises: Locked; InvalidInput for a `lock_wait` that is no number of seconds.
    """
    desk, how = (
        environment_locks(opts, user),
        {"reason": reason, "job": job, "wait_s": wait_seconds(lock_wait), "mode": mode},
    )
    with Progress(opts, job) as progress, desk.held(names, **how) as taken:
        for one in taken:
            if one.notice:
                progress.line(f"{one.holder.environment}: {one.notice}")
                progress.step(one.holder.environment, "lock", notice=one.notice)
        yield progress


def carry_out(estate: Estate, plan: Plan, cloud: Cloud, progress: Progress) -> Report:
    """Apply a plan; start, every finished resource and end are told.

    Raises: NeedsDecision, InvalidInput before anything is touched.
    """
    for environment in plan.environments:
        progress.step(environment, "start", counts=dict(plan.counts))
    report = provision.apply(plan, cloud, KINDS, watch=progress.watch, deadlines=estate.deadlines)
    for environment in plan.environments:
        progress.step(environment, "end", failed=len(report.failed), duration_ms=report.duration_ms)
    return report
