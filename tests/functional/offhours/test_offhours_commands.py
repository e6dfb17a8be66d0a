"""`offhours.*` as typed, as a state and in the orchestration: results, exit codes and the log."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import yaml
from support.commands import run_typed
from support.offhours_estate import opts, record, remember
from support.present import present

from saltlick.commands.arguments import caller
from saltlick.commands.offhours import commands
from saltlick.commands.offhours.states import as_scheduled


def test_keep_on_is_said_and_taken_back(master):
    past = run_typed(commands.keep_on, opts(master), "night", until="2026-11-20T22:00", user="ann")
    assert past.retcode == 2
    in_two_hours = (datetime.now(timezone.utc) + timedelta(hours=2)).isoformat()
    answer = run_typed(commands.keep_on, opts(master), "night", until=in_two_hours, reason="late work", user="ann")
    assert (answer.retcode, answer.result["keep"]["by"]) == (0, "ann")
    assert present(record(master).keep).reason == "late work"
    assert "late work" in str(run_typed(commands.status, opts(master), "night").text)
    assert run_typed(commands.keep_on, opts(master), "night", until="none").retcode == 0
    assert present(record(master).keep).until <= datetime.now(timezone.utc)
    assert "not kept on by anybody" in str(run_typed(commands.keep_on, opts(master), "night", until="none").text)


def test_a_run_that_goes_wrong_is_in_the_log_for_nobody_reads_its_answer(master, caplog):
    assert run_typed(commands.run, opts(master), "live").retcode == 2
    assert "offhours.run live: offhours: 1 problem, nothing was touched" in caplog.text


def test_the_command_line(master):
    done = master.run("offhours.policies", "night")
    assert [policy["name"] for policy in yaml.safe_load(done.stdout)["policies"]] == [
        "night-off-1-ec2-app", "night-off-2-ec2-db", "night-on-1-ec2-db", "night-on-2-ec2-app",
    ]  # fmt: skip
    done = master.run("offhours.keep_on", "night", "until=22:00", "--out=json")
    assert (done.code, done.json["keep"]["until"][14:19] in {"00:00"}) == (0, True), done
    zone = datetime.fromisoformat(done.json["keep"]["until"]).astimezone(ZoneInfo("Europe/Berlin"))
    assert (zone.hour, zone.minute) == (22, 0)
    done = master.run("offhours.keep_on", "night", "until=none")
    assert (done.code, "is not kept on any more" in done.stdout) == (0, True)
    done = master.run("offhours.run", "night", "tset=True")
    assert (done.code, "tset: is not an argument; there are test, lock_wait" in done.stdout) == (2, True)


def test_the_state_and_the_orchestration(master):
    remember(master, done=datetime.now(timezone.utc))  # in the hour after 19:00 in Berlin a change would be due
    state = as_scheduled(opts(master), "night", caller())
    assert state["result"] is True, state
    result = master.call("state.orchestrate", "orch.offhours", "pillarenv=night")["return"]
    [state] = next(iter(result["data"].values())).values()
    assert (state["result"], "nothing to do" in state["comment"]) == (True, True), state
    assert as_scheduled(opts(master), "live", caller())["result"] is False
