"""Short steps: a command with the application's folder, user and environment, unless it says otherwise."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.pillar_cases import pillar

from saltlick.environment.pillar import parse_environment
from saltlick.errors import InvalidInput
from saltlick.fleet.placeholders import fill
from saltlick.fleet.step import Step
from saltlick.release.pillar import Recipe, parse_recipe
from saltlick.release.pillar.parse import restore_recipe

WORDS = {
    "release": "/srv/app/releases/abc",
    "directory": "/srv/app",
    "user": "app",
    "sha": "abc",
    "server": "test-app-1",
    "environment": "test",
}


def recipe(**changes: Any) -> Recipe:
    source = {"repository": "http://git.example.org/app.git", "directory": "/srv/app", "user": "app"}
    made = {"application": "app", "servers": "app", "source": source, "health": {"checks": [{"tcp": "127.0.0.1:80"}]}}
    return parse_recipe({"release": {**made, **changes}}, parse_environment(pillar("test"), environment="test"))


def refused(**changes: Any) -> list[str]:
    with pytest.raises(InvalidInput) as error:
        recipe(**changes)
    return [f"{problem.path}: {problem.message}" for problem in error.value.problems]


def kwargs(step: Step) -> dict[str, Any]:
    return dict(fill(step, WORDS).kwargs)


def test_a_build_is_in_the_revisions_folder_as_the_applications_user() -> None:
    [step] = recipe(build=[{"run": "make all && make check"}]).build
    call = fill(step, WORDS)
    assert (call.function, call.args, step.label) == ("cmd.run_all", (), "make all && make check")
    assert {**call.kwargs, "env": None} == {
        "cmd": "make all && make check",
        "cwd": "/srv/app/releases/abc",
        "runas": "app",
        "python_shell": True,
        "env": None,
    }


@pytest.mark.parametrize(
    ("kind", "where", "folder"),
    [
        ("prepared", "build", "/srv/app/releases/abc"),
        ("prepared", "once", "/srv/app/releases/abc"),
        ("prepared", "stop", "/srv/app/current"),
        ("prepared", "kill", "/srv/app/current"),
        ("prepared", "start", "/srv/app/current"),
        *(("in_place", where, "/srv/app/source") for where in ("build", "once", "stop", "kill", "start")),
    ],
)
def test_each_step_begins_where_its_revision_is(kind: str, where: str, folder: str) -> None:
    [step] = getattr(recipe(strategy={"kind": kind}, **{where: [{"run": "true"}]}), where)
    assert kwargs(step)["cwd"] == folder


def test_what_a_step_says_wins() -> None:
    made = recipe(
        environment={"MODE": "common", "LANG": "C"},
        build=[
            {
                "run": ["make", "{sha}"],
                "cwd": "{release}/theme",
                "user": "root",
                "env": {"MODE": "own"},
                "name": "theme",
            }
        ],
    )
    [step] = made.build
    said = kwargs(step)
    assert (said["cmd"], said["cwd"], said["runas"], said["python_shell"], step.label) == (
        ["make", "abc"],
        "/srv/app/releases/abc/theme",
        "root",
        False,
        "theme",
    )
    assert {"MODE": "own", "LANG": "C", "SALTLICK_SHA": "abc"}.items() <= said["env"].items()


def test_the_environment_is_that_of_all_commands_on_servers_and_of_nothing_on_the_master() -> None:
    made = recipe(
        environment={"MODE": "common", "REVISION": "{sha}", "TOKEN": "sdb://secrets/token"},
        stop=[{"call": "cmd.run_all", "kwargs": {"cmd": "true", "env": [{"OWN": "1"}]}}, "supervisord.stop all"],
        once=[{"run": "true", "undo": {"run": "false"}}],
        hooks={"post_host": [{"run": "true", "on": "server"}], "post_release": [{"run": "true"}]},
    )
    command, other = made.stop
    assert kwargs(command)["env"][1:] == [
        {"MODE": "common", "REVISION": "abc", "TOKEN": "sdb://secrets/token"},
        {"OWN": "1"},
    ]
    assert "env" not in kwargs(other)
    [once] = made.once
    assert once.undo is not None
    assert kwargs(once)["env"]["MODE"] == kwargs(once.undo)["env"]["MODE"] == "common"
    [there], [here] = made.hooks.post_host, made.hooks.post_release
    assert (kwargs(there)["env"]["MODE"], kwargs(there)["runas"], kwargs(there)["cwd"]) == (
        "common",
        "app",
        "/srv/app/current",
    )
    assert ("MODE" in kwargs(here)["env"], "runas" in kwargs(here), "cwd" in kwargs(here)) == (False, False, False)


def test_a_file_on_the_server_is_read_by_the_shell_that_runs_the_step(tmp_path: Path) -> None:
    file = tmp_path / "app.env"
    file.write_text("# of the application\nGREETING='good day'\nNAME=\"$USER_NAME\"\n")
    made = recipe(
        env_file=str(file), build=[{"run": 'printf "%s" "$GREETING, $NAME"'}, {"run": ["printenv", "GREETING"]}]
    )
    text, words = (kwargs(step)["cmd"] for step in made.build)
    said = subprocess.run(["sh", "-c", text], env={"USER_NAME": "Ada"}, capture_output=True, text=True, check=True)
    assert said.stdout == "good day, Ada"
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "good day\n"
    file.unlink()
    gone = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
    assert (gone.returncode != 0, gone.stdout, str(file) in gone.stderr) == (True, "", True)


def test_the_journal_has_the_whole_step() -> None:
    made = recipe(
        env_file="/etc/app.env", environment={"MODE": "x"}, build=[{"run": "make"}], start=[{"run": ["a", "b"]}]
    )
    assert restore_recipe(made.model_dump_json()) == made
    assert [step.label for step in made.build] == ["make"]


def test_what_makes_no_sense_is_refused_by_its_own_key() -> None:
    said = refused(
        build=[
            {"run": "make {sha}"},
            {"run": "make", "call": "cmd.run"},
            {"call": "cmd.run_all", "user": "app"},
            {"run": []},
            {"run": "make", "cwd": "{releese}"},
        ],
        environment={"A-B": "x", "C": "{shaa}"},
        env_file="/etc/$app.env",
    )
    [line] = [line for line in said if line.startswith("release.build[0].run: {sha} would be read by a shell")]
    assert line.endswith("or write `run` as a list")
    for beginning in (
        "release.build[1]: a step is written with `run` or with `call`",
        "release.build[2]: `user` belongs to `run`",
        "release.build[3].run: a list is no command",
        "release.build[4].cwd: {releese} is no placeholder",
        "release.environment.A-B: A-B is not a name of an environment variable",
        "release.environment.C: {shaa} is no placeholder",
        "release.env_file: /etc/$app.env has characters that a shell reads",
    ):
        assert [line for line in said if line.startswith(beginning)], (beginning, said)


def test_in_place_has_no_release_folder_for_short_steps_either() -> None:
    [line] = refused(strategy={"kind": "in_place"}, build=[{"run": "make", "cwd": "{release}"}])
    assert line.startswith("release.build[0]: `in_place` has no folder {release}")


def test_a_balancers_command_needs_a_user() -> None:
    balancer = {
        "kind": "command",
        "drain": [{"run": "off", "on": "server"}],
        "restore": [{"run": "on"}],
        "look": "test.true",
    }
    [line] = refused(balancer=balancer)
    assert line.startswith("release.balancer.drain[0].run: it would run as root")
