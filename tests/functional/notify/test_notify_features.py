"""What the features tell, over a real webhook: red once, green once, and later what could not be delivered."""

from __future__ import annotations

import contextlib

import pytest
from support.receivers import declare
from support.salt_master import CHECKOUT

from saltlick.commands.job import environment_locks, open_store, running_job
from saltlick.errors import ServerFailed
from saltlick.jobs.history import JobHistory
from saltlick.jobs.request import Caller, JobRequest
from saltlick.notify.condition import Feature
from saltlick.notify.jobs import NEXT_COMMANDS

BACKUP = """
stores: {vault: {s3: {bucket: some-bucket}}}
backup:
  jobs:
    files: {directories: [/srv/files], servers: app, store: vault, full: {cron: '0 2 * * *'}}
"""


def request(**more):
    facts = {
        "environments": ("one",),
        "feature": "refresh",
        "action": "refresh",
        "reason": "refresh of one from two",
        "caller": Caller(user="ann", job_id="1"),
    }
    return JobRequest(**{**facts, **more})


def run_job(master, error: str = "") -> None:
    with contextlib.suppress(ServerFailed), running_job(master.opts, request()):
        if error:
            raise ServerFailed(error)


def test_a_job_that_fails_is_told_once_and_its_success_too(watched, received, capsys):
    run_job(watched)
    assert received.posts == []
    run_job(watched, "db-1: no space left")
    run_job(watched, "db-1: no space left")
    (post,) = received.posts
    assert (post["title"], post["type"]) == ("RED one: refresh refresh", "failure")
    known, unknown, since, command = post["message"].splitlines()
    assert known == "Known: refresh of one from two (job of ann): failed: db-1: no space left"
    assert unknown == "Not known: how far it had come when it failed"
    assert since.startswith("Since: ")
    assert command == "Next: salt-run refresh.history one"
    assert "notify oncall: RED one: refresh refresh" in capsys.readouterr().err
    run_job(watched)
    run_job(watched)
    assert received.titles == ["RED one: refresh refresh", "GREEN one: refresh refresh"]


def test_a_message_that_is_not_delivered_changes_no_result_and_is_tried_again(watched, received, capsys):
    received.status = 500
    with pytest.raises(ServerFailed), running_job(watched.opts, request()):
        raise ServerFailed("db-1: no space left")
    output = capsys.readouterr().err
    assert "notify oncall: not delivered (" in output
    assert "the next run tries again" in output
    with open_store(watched.opts) as store:
        (entry,) = JobHistory(store).history("one")
    assert (entry.outcome, entry.reason) == ("failed", "db-1: no space left")
    received.status = 200
    with running_job(watched.opts, request(feature="environment", action="apply")):
        pass
    assert received.titles == ["RED one: refresh refresh"]


def test_the_lock_is_free_when_people_are_told(watched, received):
    """A slow pager keeps nobody waiting."""
    holders = []
    received.on_post = lambda: holders.append(environment_locks(watched.opts, "bob").read("one"))
    run_job(watched, "x")
    assert holders == [None]


def test_a_store_that_takes_nothing_changes_no_result(watched, received, capsys):
    with open_store(watched.opts) as store:
        store.create("create table notify_states (something_else text)")
    run_job(watched)
    assert "notify: nobody was told: OperationalError (a defect in saltlick; see the log)" in capsys.readouterr().err
    with open_store(watched.opts) as store:
        (entry,) = JobHistory(store).history("one")
    assert entry.outcome == "done"
    assert received.posts == []


def test_drift_is_a_warning_until_it_is_applied(watched, received):
    assert watched.call("environment.drift", "one")["return"]["drifted"] is True
    (post,) = received.posts
    assert (post["title"], post["type"]) == ("WARNING one: environment drift", "warning")
    assert "Known: AWS is not as the pillar declares: " in post["message"]
    assert "Next: salt-run environment.plan one" in post["message"].splitlines()
    assert watched.call("environment.plan", "one")["return"]["retcode"] == 0
    assert watched.call("environment.apply", "one")["return"]["retcode"] == 0
    assert watched.call("environment.drift", "one")["return"]["drifted"] is False
    assert received.titles[1:] == ["GREEN one: environment drift"]


def test_drift_that_nobody_can_see_is_not_said_to_be_drift(watched, received):
    watched.endpoint = "http://127.0.0.1:1"
    assert watched.call("environment.drift", "one")["return"]["retcode"] not in {0, 2}
    (post,) = received.posts
    assert post["title"] == "WARNING one: environment drift"
    assert post["message"].startswith("Known: it cannot be seen how it stands: ")
    assert "Not known: whether AWS is as the pillar declares" in post["message"].splitlines()


def with_servers(master) -> None:
    """`one` has a server, and backups of it."""
    file = master.folder / "pillar" / "one" / "environment.sls"
    rest, _, notify = file.read_text().partition("\nnotify: ")
    servers = """
  image: {id: ami-12c6146b}
  firewall: {app: [{from: self, tcp: 80}]}
  servers: {app: {count: 1, type: t3.small, subnet: public, firewall: app, buckets: {some-bucket: {}}}}
"""
    master.pillar("one", f"{rest.rstrip()}{servers}{BACKUP}\nnotify: {notify}")


def test_freshness_that_cannot_be_seen_is_told_as_that(watched, received):
    with_servers(watched)
    for _ in range(2):
        done = watched.run("backup.freshness", "one", "--out=json")
        assert done.code == 7, done
    (post,) = received.posts
    assert post["title"] == "WARNING one: backup freshness"
    assert "Known: it cannot be seen how it stands: no salt-master runs here" in post["message"]
    assert "Not known: whether the backups are there, whole and young enough" in post["message"]
    assert "nothing is safe" not in post["message"]


def test_who_names_an_environment_without_backups_wakes_nobody(watched, received):
    assert watched.call("backup.freshness", "one")["return"]["retcode"] == 2
    assert watched.call("offhours.run", "one")["return"]["retcode"] == 2
    assert received.posts == []


def test_off_hours_that_cannot_begin_are_told(watched, received):
    file = watched.folder / "pillar" / "one" / "environment.sls"
    hours = "\noffhours: {timezone: Europe/Berlin, 'off': '19:30', 'on': '07:00'}\n"
    rest, _, notify = file.read_text().partition("\nnotify: ")
    watched.pillar("one", f"{rest}{hours}\nnotify: {notify}")
    assert watched.call("offhours.run", "one")["return"]["retcode"] == 2
    (post,) = received.posts
    assert post["title"] == "RED one: offhours switch"
    assert "is not a whole hour" in post["message"]


def test_a_deployment_that_ends_early_is_red_and_one_that_ends_is_green(watched, received):
    (watched.folder / "srv/orch").symlink_to(CHECKOUT / "orch")
    watched.sls(
        "broken",
        "lock:\n  environment.locked: [{name: one}, {reason: deploy-environment}]\nwrong:\n  test.fail_without_changes: []\n",
    )
    assert watched.run("state.orchestrate", "broken", "pillarenv=one").code != 0
    assert received.titles == ["RED one: environment deploy-environment"]
    assert "ended before its last step" in received.posts[0]["message"]
    assert watched.run("state.orchestrate", "orch.deploy-environment", "pillarenv=one").code == 0
    assert received.titles[1:] == ["GREEN one: environment deploy-environment"]


@pytest.mark.parametrize("feature", Feature)
def test_every_next_step_is_a_command_that_there_is(watched, feature):
    """None of them is refused for its name or its arguments; some find nothing in this environment."""
    for command in NEXT_COMMANDS[feature]:
        salt_run, function, *words = command.format(environment="one").split()
        assert salt_run == "salt-run"
        done = watched.call(function, *words)["return"]
        assert isinstance(done, dict), done
        assert "arguments" not in str(done.get("error", "")), done


def test_a_target_wants_what_it_wants(watched, received):
    declare(watched, {"targets": {"oncall": {"url": received.url, "features": ["backup"]}}})
    run_job(watched, "x")
    assert received.posts == []


def test_a_part_of_an_orchestration_turns_the_orchestration_red_and_is_named(watched, received):
    watched.sls(
        "broken",
        "lock:\n  environment.locked: [{name: one}, {reason: deploy-environment}, {failhard: True}]\n"
        "networks:\n  environment.present: [{name: one}, {failhard: True}]\n",
    )
    watched.endpoint = "http://127.0.0.1:1"
    assert watched.run("state.orchestrate", "broken", "pillarenv=one").code != 0
    (post,) = received.posts
    assert post["title"] == "RED one: environment deploy-environment"
    assert any(line.startswith("Known: environment present: failed: ") for line in post["message"].splitlines())
