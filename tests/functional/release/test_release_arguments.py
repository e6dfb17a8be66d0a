"""`release.rolling` up to the rollout: arguments, refusals and exit codes, typed and through Salt."""

from __future__ import annotations

import re

import pytest
from support.release_master import RECIPE, code, locks

from saltlick.commands.arguments import caller, flag, number, text
from saltlick.commands.release import commands
from saltlick.commands.release.states import arguments
from saltlick.commands.release.states import rolled as state_of_a_release
from saltlick.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "rev: say which revision"),
        ({"rev": "x", "batch": "none"}, "batch: none is neither a count nor a percent"),
        ({"rev": "x", "pause": "evry"}, "pause: evry is none of"),
        ({"rev": "x", "group": "ap"}, "group: "),
        ({"rev": "x", "test": "perhaps"}, "test: 'perhaps' is neither True nor False"),
        ({"rev": "x", "lock_wait": "long"}, "lock_wait: long is not a number"),
        ({"rev": True}, "rev: True is not text; put it in quotes"),
    ],
)
def test_bad_arguments_change_nothing(master, given, said):
    retcode, error = code(commands.rolling, master.opts, "one", **given)
    assert (retcode, said in error) == (2, True), error
    assert locks(master).read("one") is None


def test_one_environment_at_a_time_and_only_one_that_is(master):
    assert "one environment at a time, not one, two" in code(commands.rolling, master.opts, "one,two", rev="x")[1]
    assert "tset: is not an environment" in code(commands.rolling, master.opts, "tset", rev="x")[1]


def test_the_recipe_is_refused_with_all_its_problems(master):
    (master.folder / "pillar/common/release.sls").write_text(RECIPE + "  balanser: {}\n  strategy: {batch: 0}\n")
    retcode, error = code(commands.rolling, master.opts, "one", rev="x")
    assert retcode == 2
    assert "release.balanser" in error
    assert "release.strategy.batch" in error


def test_without_a_master_it_says_so_and_gives_the_lock_back(master):
    retcode, error = code(commands.rolling, master.opts, "one", rev="x")
    assert (retcode, "no salt-master runs here" in error) == (7, True)
    assert locks(master).read("one") is None


def test_what_was_typed_is_what_is_meant():
    opts = {"arg": ["prod", "rev=0012345", "to=1e5"]}
    assert text(opts, "rev", 5349) == "0012345"
    assert text(opts, "message", 5349) == "5349"
    assert text({"arg": ["rev=on"]}, "rev", True) == "on"
    assert text({}, "rev", " main ") == "main"
    assert flag("True")
    assert not flag(None)
    assert number("3") == 3


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("10:00", 600),
        ("0x10", 16),
        ("1_000", "1_000"),
        ("-5", -5),
        ("on", True),
        (".inf", float("inf")),
        ("1e3", "1e3"),
    ],
)
def test_a_number_is_taken_as_it_was_typed_or_refused(typed, value):
    opts = {"arg": ["one", f"lock_wait={typed}"]}
    with pytest.raises(InvalidInput, match=f"lock_wait: {re.escape(typed)} is not a number of seconds"):
        commands.RollingRequest.read(opts, caller(user="ann"), "one", lock_wait=value)


def test_a_number_with_a_zero_in_front_is_none_of_eight_digits():
    request = commands.RollingRequest.read({"arg": ["lock_wait=0600"]}, caller(user="ann"), "one", lock_wait=384)
    assert request.lock_wait == 600
    with pytest.raises(ValueError, match="-1 is not a number from 0 up"):
        number(-1)


def test_the_runner_answers_with_data_and_both_codes(master):
    result = master.call("release.rolling", "tset", "rev=f5d9859")
    assert result["return"]["retcode"] == 2
    assert result["success"] is False
    result = master.call("release.rolling", "one", "reb=f5d9859")["return"]
    assert "reb: is not an argument; there are rev, batch" in result["error"]
    assert master.call("release.history", "one")["return"]["releases"] == []


def test_the_command_line_exits_with_the_code_and_keeps_a_numeric_revision(master):
    done = master.run("release.rolling", "one", "rev=0012345", "--out=json")
    assert done.code == 7
    assert "no salt-master runs here" in done.json["error"]


def test_the_orchestration_fails_with_the_sentence(master):
    for more, said in (
        (("pillarenv=tset",), "tset: is not an environment"),
        (("pillarenv=one", 'pillar={"release": {"rev": "f5d9859"}}'), "no salt-master runs here"),
    ):
        result = master.call("state.orchestrate", "orch.release", *more)["return"]
        [states] = result["data"].values()
        [state] = states.values()
        assert result["retcode"] == 1
        assert state["result"] is False
        assert said in state["comment"]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("None", {}, "name an environment (pillarenv="),
        ("one", {}, "rev: say which revision"),
        ("one", {"rev": "x", "batsh": 2}, "release.batsh: is not an argument; did you mean batch?"),
        ("one", {"rev": "x", "application": "other"}, "release.application: is the recipe's"),
    ],
)
def test_the_state_says_what_is_wrong_with_what_was_given_along(master, name, given, said):
    state = state_of_a_release(master.opts, {"release": given}, name, caller())
    assert state["result"] is False
    assert said in state["comment"]


def test_the_operators_arguments_are_told_apart_from_the_recipe():
    recipe = {"release": {"application": "shop", "strategy": {"batch": 1}}}
    merged = {"release": {**recipe["release"], "rev": "x", "batch": "50%"}, "lock_wait": 60}
    assert arguments(merged, recipe) == {"rev": "x", "batch": "50%", "lock_wait": 60}
    with pytest.raises(InvalidInput, match="strategy: is the recipe's"):
        arguments({"release": {"strategy": {"batch": 2}}}, recipe)
