"""What servers and branches say never becomes text of a command, whatever a recipe does with it."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from saltlick.errors import InvalidInput
from saltlick.fleet.health import HealthCheck, HealthSpec
from saltlick.fleet.placeholders import HOOK_PLACEHOLDERS, PLACEHOLDERS, fill, fill_check
from saltlick.fleet.step import Step

HOSTILE = (
    "x; touch pwned",
    "x' ; touch pwned; '",
    'x" ; touch pwned; "',
    "$(touch pwned)",
    "`touch pwned`",
    "x\ntouch pwned",
    "x | touch pwned",
    "x && touch pwned",
    "x > pwned",
    "--option",
    "~root",
    "#",
    "*",
    "{{ 7 }}",
    "x\0y",
)
WORDS = dict.fromkeys((*PLACEHOLDERS, *HOOK_PLACEHOLDERS), "plain")
COMMANDS = (
    "cmd.run",
    "cmd.run_all",
    "cmd.shell",
    "cmd.retcode",
    "cmd.script",
    "cmd.exec_code",
    "cmd.powershell",
    "cmd.tty",
)


@pytest.mark.parametrize("word", sorted(WORDS))
@pytest.mark.parametrize("function", COMMANDS)
def test_no_placeholder_is_text_of_a_command(function: str, word: str) -> None:
    for step in (
        {"args": [f"echo {{{word}}}"]},
        {"kwargs": {"cmd": ["echo", f"{{{word}}}"]}},
        {"kwargs": {"args": f"{{{word}}}"}},
    ):
        with pytest.raises(InvalidInput, match=rf'write "\$SALTLICK_{word.upper()}"'):
            fill(Step.model_validate({"call": function, **step}), WORDS)


@pytest.mark.parametrize("word", sorted(WORDS))
def test_nor_of_one_that_another_function_is_told_to_call(word: str) -> None:
    for step in (
        {"call": "salt.cmd", "args": ["cmd.run", f"echo {{{word}}}"]},
        {"call": "state.single", "args": ["cmd.run"], "kwargs": {"name": f"echo {{{word}}}"}},
        {
            "call": "detached.start",
            "args": ["job"],
            "kwargs": {"function": "cmd.run_all", "args": [f"echo {{{word}}}"]},
        },
    ):
        with pytest.raises(InvalidInput, match=rf'write "\$SALTLICK_{word.upper()}"'):
            fill(Step.model_validate(step), WORDS)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("word", ["sha", "previous", "rev", "server", "servers", "release", "environment", "id"])
def test_a_value_that_is_more_than_a_word_is_filled_in_nowhere(word: str, value: str) -> None:
    step = Step.model_validate({"call": "own.function", "args": [f"{{{word}}}"]})
    with pytest.raises(InvalidInput, match="a shell could read more than a word"):
        fill(step, {**WORDS, word: value})


@pytest.mark.parametrize("function", ["own.function", "saltutil.cmd", "ssh.cmd", "docker.run", "state.single"])
@pytest.mark.parametrize("word", ["reason", "who"])
def test_free_text_goes_to_messages_alone(function: str, word: str) -> None:
    with pytest.raises(InvalidInput, match="is free text"):
        fill(Step.model_validate({"call": function, "args": [f"{{{word}}}"]}), WORDS)
    message = fill(
        Step.model_validate({"call": "slack_notify.post_message", "args": [f"{{{word}}}"]}), {**WORDS, word: "$(x)"}
    )
    assert message.args == ("$(x)",)


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_command_has_the_reason_in_its_environment_and_no_shell_reads_it(reason: str, tmp_path: Any) -> None:
    step = Step.model_validate({"call": "cmd.run", "args": ['printf %s "$SALTLICK_REASON" > told']})
    call = fill(step, {**WORDS, "reason": reason})
    subprocess.run(call.args[0], shell=True, cwd=tmp_path, env={**os.environ, **call.kwargs["env"]}, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["told"]
    assert (tmp_path / "told").read_text() == " ".join(reason.replace("\0", " ").split())


def test_the_environment_of_a_step_stays_and_wins() -> None:
    for env in ({"A": "{sha}"}, [{"A": "{sha}"}]):
        step = Step.model_validate({"call": "cmd.run_all", "kwargs": {"cmd": "x", "env": env}})
        filled = fill(step, {"sha": "abc", "server": "web-1"}).kwargs["env"]
        assert filled in ({"A": "abc", "SALTLICK_SHA": "abc"}, [{"SALTLICK_SHA": "abc"}, {"A": "abc"}])


def test_what_differs_from_server_to_server_is_there_if_it_is_named() -> None:
    for text, names in (("x", set()), ('x "$SALTLICK_SERVER"', {"SALTLICK_SERVER"})):
        call = fill(Step.model_validate({"call": "cmd.run", "args": [text]}), {"server": "web-1", "previous": "abc"})
        assert set(call.kwargs["env"]) == names


def test_a_list_that_no_shell_reads_takes_values() -> None:
    step = Step.model_validate({"call": "cmd.run_all", "kwargs": {"cmd": ["x", "{sha}"], "python_shell": False}})
    assert fill(step, {"sha": "abc"}).kwargs["cmd"] == ["x", "abc"]


def test_a_health_command_takes_none_either() -> None:
    check = HealthCheck.model_validate({"command": "test -e {directory}/ok"})
    with pytest.raises(InvalidInput, match=r'write "\$SALTLICK_DIRECTORY"'):
        fill_check(check, HealthSpec.model_validate({}), WORDS)
    check = HealthCheck.model_validate({"command": 'test -e "$SALTLICK_DIRECTORY/ok"'})
    assert fill_check(check, HealthSpec.model_validate({}), WORDS).kwargs["env"]["SALTLICK_DIRECTORY"] == "plain"
