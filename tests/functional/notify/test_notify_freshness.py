"""`backup.freshness` for a monitor and for people: the answer, the exit code, and what is told over a real webhook."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta, timezone

import pytest
from support.backup_samples import Servers, stage, subject
from support.receivers import declare
from support.two_environments import two_environments

from saltlick.backup.run import take
from saltlick.commands.arguments import caller
from saltlick.commands.backup.commands import BackupJobsRequest
from saltlick.commands.backup.freshness import freshness
from saltlick.commands.job import open_store, running_job
from saltlick.fleet.ports import Reply
from saltlick.jobs.request import Caller, JobRequest
from saltlick.notify.records import NotifyRecords

NOW = datetime.now(timezone.utc).replace(microsecond=0)


@pytest.fixture
def backed_up(master, received):
    """`one` has a backup job `database`, and tells the webhook."""
    two_environments(master)
    top = master.folder / "pillar" / "common" / "top.sls"
    top.write_text(top.read_text().replace("[environment]", "[environment, backup]"))
    (master.folder / "pillar" / "common" / "backup.sls").write_text("{}\n")
    declare(master, {"targets": {"oncall": received.url}})
    return master


class Look:
    """Freshness of `one`, whose servers answer as `servers` does."""

    def __init__(self, master, folder) -> None:
        self.master, self.folder = master, folder
        self.servers = Servers(roles={"one-db-1": "primary", "one-db-2": "standby"})

    def job(self):
        job = subject()
        return type(job)(environment="one", name=job.name, job=job.job, servers=("one-db-1", "one-db-2"))

    def stage(self, at=NOW):
        return stage(self.servers, self.folder, at)

    def __call__(self):
        @contextlib.contextmanager
        def context(opts, name, progress):
            yield self.stage()

        request = BackupJobsRequest.read(self.master.opts, caller(user="ann"), "one")
        return freshness(self.master.opts, request, open_context=context)


@pytest.fixture
def look(backed_up, tmp_path):
    return Look(backed_up, tmp_path)


def test_red_once_green_once_and_since_when(look, received):
    red = look()
    assert red.retcode == 4
    (job,) = red.result["jobs"].values()
    assert (red.result["fresh"], job["fresh"], job["seen"], job["age_s"]) == (False, False, True, None)
    assert job["next"] == ["salt-run backup.run one job=database"]
    assert abs(job["since"] - datetime.now(timezone.utc).timestamp()) < 600
    assert red.text(False).splitlines()[0] == "one: RED: database (0 of 1 backup jobs are fresh)"
    again = look()
    assert again.result["jobs"]["database"]["since"] == job["since"]
    (post,) = received.posts
    assert (post["title"], post["type"]) == ("RED one: backup database", "failure")
    lines = post["message"].splitlines()
    assert lines[0] == "Known: there is no good backup"
    assert lines[-1] == "Next: salt-run backup.run one job=database"
    take(look.job(), "full", look.stage(NOW - timedelta(minutes=20)))
    fresh = look()
    assert (fresh.retcode, fresh.result["fresh"], fresh.result["jobs"]["database"]["since"]) == (0, True, None)
    assert fresh.text(False).splitlines()[0] == "one: all 1 backup jobs are fresh, safe up to 20 min ago"
    look()
    assert received.titles == ["RED one: backup database", "GREEN one: backup database"]


def test_a_store_that_cannot_be_seen_is_a_warning_with_what_is_known_all_the_same(look, received):
    take(look.job(), "full", look.stage(NOW - timedelta(minutes=20)))
    look.servers.answers["backup.catalogue"] = lambda server, call: Reply(False, error="the store does not answer")
    unseen = look()
    assert unseen.retcode == 4
    assert unseen.result["jobs"]["database"]["seen"] is False
    (post,) = received.posts
    assert (post["title"], post["type"]) == ("WARNING one: backup database", "warning")
    lines = post["message"].splitlines()
    assert lines[0] == "Known: the store cannot be seen: one-db-2: the store does not answer"
    assert lines[1].startswith(
        "Not known: whether the backups are there and whole (the last run that ended well began at "
    )
    assert lines[2] == "Not known: how far back everything is safe"
    assert "nothing is safe" not in unseen.text(False) + post["message"]


def test_a_run_that_fails_is_told_at_once_and_freshness_makes_it_green(look, received):
    request = JobRequest(
        environments=("one",),
        feature="backup",
        action="take",
        reason="backup",
        caller=Caller(user="ann"),
        subject="backup",
    )
    with running_job(look.master.opts, request) as running:
        running.failed({"database": "no space left"})
    assert received.titles == ["RED one: backup database"]
    take(look.job(), "full", look.stage(NOW - timedelta(minutes=20)))
    with running_job(look.master.opts, request):
        pass
    assert received.titles == ["RED one: backup database"]
    look()
    assert received.titles == ["RED one: backup database", "GREEN one: backup database"]


def test_the_look_is_kept_in_the_one_store(look):
    look()
    with open_store(look.master.opts) as store:
        assert [remembered.condition.name for remembered in NotifyRecords(store).states("one")] == ["database"]
