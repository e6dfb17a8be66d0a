"""Cloud Custodian as a command: what it refuses, how it fails, and where it is absent."""

from __future__ import annotations

import pytest
from support.commands import run_typed
from support.offhours_estate import APPS, FRIDAY_EVENING, RecordingApplication, locks, opts, playing, record, running

from saltlick.commands.arguments import caller
from saltlick.commands.offhours import commands, context
from saltlick.commands.result import guarded
from saltlick.errors import InvalidInput
from saltlick.offhours import policies


def test_custodian_validates_what_is_rendered_and_refuses_what_is_not_policy(master):
    assert run_typed(commands.validate, opts(master), "night").retcode == 0
    found = context.offhours_environment(opts(master), "night")
    made = [{**one, "actions": ["destroy"]} for one in policies.standing(found.hours, found.environment)]
    with pytest.raises(InvalidInput, match="Cloud Custodian refuses"):
        context.custodian_of(opts(master), found).validate(made)


def test_a_custodian_that_fails_is_a_failure_and_nothing_is_done(master, aws, monkeypatch):
    broken = master.folder / "custodian"
    broken.write_text("#!/bin/sh\necho boom >&2\nexit 2\n")
    broken.chmod(0o755)
    given = {**opts(master), "saltlick_custodian": str(broken)}
    how = {"test": False, "caller": caller("77", "ann"), "open_context": playing(RecordingApplication())}
    answer = guarded(commands.run_at, given, "night", FRIDAY_EVENING, **how)
    assert (answer.retcode, "Cloud Custodian: exit code 2: boom" in answer.result["error"]) == (4, True)
    assert record(master).done is None


def test_a_custodian_that_does_nothing_is_found_out(master, aws):
    """It logs what AWS refuses, and exits with 0."""
    idle = master.folder / "custodian"
    idle.write_text("#!/bin/sh\nexit 0\n")
    idle.chmod(0o755)
    how = {"test": False, "caller": caller("77", "ann"), "open_context": playing(RecordingApplication())}
    answer = guarded(commands.run_at, {**opts(master), "saltlick_custodian": str(idle)}, "night", FRIDAY_EVENING, **how)
    assert (answer.retcode, "Custodian's own filters left it out" in answer.result["error"]) == (4, True)


def test_without_custodian_or_a_master_it_says_so_and_touches_nothing(master, aws):
    answer = run_typed(commands.stop, {**opts(master), "saltlick_custodian": "/nowhere/custodian"}, "night")
    assert (answer.retcode, "/nowhere/custodian is not there" in answer.result["error"]) == (7, True)
    answer = run_typed(commands.stop, opts(master), "night")
    assert (answer.retcode, "no salt-master runs here" in answer.result["error"]) == (7, True)
    assert locks(master).read("night") is None
    assert running(aws) >= APPS
