"""What the end of a job means for what it was about."""

from __future__ import annotations

import io
from typing import Any

import pytest

from saltlick.jobs.holder import Holder, LockLease, Mode
from saltlick.jobs.processes import Process
from saltlick.jobs.progress import Progress
from saltlick.jobs.request import Caller, JobRequest
from saltlick.jobs.running import RunningJob
from saltlick.notify.condition import Feature, Severity
from saltlick.notify.jobs import NEXT_COMMANDS, conditions_of


class Deaf:
    def fire(self, tag: str, content: Any) -> None:
        pass

    def close(self) -> None:
        pass


def job(**more: Any) -> RunningJob:
    facts = {
        "environments": ("prod",),
        "feature": "release",
        "action": "rollback",
        "subject": "shop",
        "reason": "rollback to v1 of shop",
        "caller": Caller(user="ann"),
    }
    return RunningJob(JobRequest(**{**facts, **more}), (), Progress("1", Deaf(), stream=io.StringIO()))


@pytest.mark.parametrize("outcome", ["done", "unchanged", "done, servers left out"])
def test_a_job_that_did_what_it_should_is_green(outcome):
    running = job()
    running.ended(outcome)
    (condition,) = conditions_of(running, "prod")
    assert (condition.name, condition.severity) == ("shop", Severity.OK)


@pytest.mark.parametrize(
    ("outcome", "unknown"),
    [
        ("failed", ("how far it had come when it failed",)),
        ("interrupted", ("how far it had come when it was interrupted",)),
        ("rolled back", ()),
        ("refused", ()),
        ("stuck", ("how far it had come when it failed",)),
    ],
)
def test_any_other_end_is_red(outcome, unknown):
    running = job()
    running.ended(outcome, "prod-app-1 does not start")
    (condition,) = conditions_of(running, "prod")
    assert condition.severity is Severity.FAILURE
    assert condition.known == (f"rollback to v1 of shop (job of ann): {outcome}: prod-app-1 does not start",)
    assert condition.unknown == unknown
    assert condition.next_commands == ("salt-run release.status prod",)


def test_of_several_backups_those_that_failed_are_red_and_no_other_turns_green():
    running = job(feature="backup", action="take", subject="backup", reason="backup")
    running.failed({"files": "no space left"})
    whole, files = conditions_of(running, "prod")
    assert (whole.name, whole.severity) == ("backup", Severity.OK)
    assert (files.name, files.severity, files.known) == (
        "files", Severity.FAILURE, ("take failed: no space left",),
    )  # fmt: skip
    assert (running.outcome, running.reason) == ("failed", "files: no space left")


def test_the_subject_is_the_action_where_nothing_else_is_said():
    (condition,) = conditions_of(job(feature="refresh", action="refresh", subject=""), "test")
    assert (condition.environment, condition.name) == ("test", "refresh")


def test_every_feature_has_a_next_command():
    assert NEXT_COMMANDS.keys() == set(Feature)


@pytest.mark.parametrize(("outcome", "names"), [("failed", []), ("done", ["shop"])])
def test_a_part_of_an_orchestration_turns_green_but_not_red(outcome, names):
    holder = Holder(
        environment="prod",
        user="ann",
        host="m",
        process=Process(pid=1, started="then"),
        mode=Mode.RUN,
        reason="deploy",
        since="",
        job="1",
    )
    running = RunningJob(job().request, (LockLease(holder, joined=True),), job().progress)
    running.ended(outcome, "x")
    assert [condition.name for condition in conditions_of(running, "prod")] == names
