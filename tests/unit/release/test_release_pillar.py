"""Recipes: what is wrong with one is said all at once; a good one survives the journal; steps become calls."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import yaml
from support.pillar_cases import CHECKOUT, cases, pillar, spot
from support.pillar_cases import read as read_once
from support.present import present

from saltlick.environment.pillar import parse_environment
from saltlick.errors import InvalidInput
from saltlick.fleet.balancers.pillar import HaproxySpec, ServiceSpec
from saltlick.fleet.placeholders import fill
from saltlick.fleet.ports import Call
from saltlick.fleet.step import BuildStep, OnceStep, Step, read_line
from saltlick.reference.json_schema import schema
from saltlick.release.pillar import (
    HOOK_PLACEHOLDERS,
    PLACEHOLDERS,
    Overrides,
    denied,
    fill_check,
    parse_recipe,
    restore_recipe,
    servers_of,
)
from saltlick.release.pillar.amounts import Amount, amount
from saltlick.release.pillar.model import StrategyKind, Windows

RECIPES = sorted(CHECKOUT.glob("pillar/**/release.sls"))
WORDS = {word: f"@{word}" for word in (*PLACEHOLDERS, *HOOK_PLACEHOLDERS)}


@pytest.fixture(scope="module")
def environment():
    return parse_environment(pillar("test"), environment="test")


def read(path):
    """A fresh copy of a recipe file."""
    return copy.deepcopy(read_once(path))


def raw(change=None, without=()):
    made = read(CHECKOUT / "pillar/common/release.sls")
    for path, value in (change or {}).items():
        inside, last = spot(made["release"], path)
        inside[last] = copy.deepcopy(value)
    for path in without:
        inside, last = spot(made["release"], path)
        del inside[last]
    return made


@pytest.mark.parametrize("case", cases("release"), ids=lambda case: case["says"])
def test_a_recipe_that_is_wrong(case, environment):
    made = raw(case.get("change"), case.get("without", ()))
    with pytest.raises(InvalidInput) as caught:
        parse_recipe(made, environment, Overrides(**case.get("overrides", {})))
    assert [str(problem) for problem in caught.value.problems] == case["problems"]


def test_no_message_shows_pydantics_own_words():
    jargon = re.compile(r"pydantic|validat|Input should|value_error|NoneType|dict\b|tuple|kind=|function-")
    lines = [line for case in cases("release") for line in case["problems"]]
    assert not [line for line in lines if jargon.search(line)]


def test_no_recipe_and_one_that_is_none(environment):
    with pytest.raises(InvalidInput, match="the pillar of test has no recipe for releases"):
        parse_recipe({}, environment)
    with pytest.raises(InvalidInput, match="release: this has to be a mapping"):
        parse_recipe({"release": "app"}, environment)


@pytest.mark.parametrize("odd", [None, {5: []}], ids=repr)
def test_whatever_stands_wherever_is_taken_or_told_and_never_crashes(odd, environment):
    for path in spots(read(RECIPES[-1])["release"]):
        made = read(RECIPES[-1])
        inside, last = spot(made["release"], path)
        inside[last] = odd
        with contextlib.suppress(InvalidInput):
            parse_recipe(made, environment)


def spots(inside, path=""):
    if path:
        yield path
    for step, value in (
        inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
    ):
        if step is not True:
            yield from spots(value, f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}".lstrip("."))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(CHECKOUT)))
@pytest.mark.parametrize("name", ["test", "prod"])
def test_every_recipe_in_the_pillar_is_sound_and_survives_the_journal(path, name):
    recipe = parse_recipe(read(path), parse_environment(pillar(name), environment=name))
    written = recipe.model_dump_json()
    assert restore_recipe(written) == recipe
    assert restore_recipe(written).model_dump_json() == written


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_the_schema_for_editors_takes_every_recipe(path):
    text = re.sub(r"\bon: ", "'on': ", path.read_text("utf-8"))  # editors read YAML 1.2, in which `on` is a word
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(text))


def test_the_schema_refuses_what_the_models_refuse():
    check = jsonschema.Draft202012Validator(schema())
    assert check.is_valid(raw({"stop": ["service.stop x"], "strategy.batch": "1,25%"}))
    mistakes: list[dict[str, Any]] = [{"sorce": 1}, {"balancer.kind": "f5"}, {"stop": [5]}, {"strategy.batch": {}}]
    for wrong in mistakes:
        assert not check.is_valid(raw(wrong)), wrong


def test_the_plone_recipe_is_the_talks_way(environment):
    recipe = parse_recipe(read(CHECKOUT / "pillar/common/examples/plone/release.sls"), environment)
    assert recipe.strategy.kind is StrategyKind.IN_PLACE
    assert isinstance(recipe.balancer, ServiceSpec)
    assert (recipe.balancer.kind, recipe.balancer.service) == ("service", "varnish")
    steps = [str(fill(step, WORDS)) for step in (*recipe.stop, *recipe.build, *recipe.once, *recipe.start)]
    assert [line.partition(" cwd=")[0] for line in steps] == [
        "supervisord.stop all",
        "git.checkout @directory/source @sha force=True user=@user",
        "cmd.run_all cmd=bin/buildout -N",
        "npm.install dir=@directory/source/theme runas=@user",
        "cmd.run_all cmd=node_modules/.bin/gulp build",
        "cmd.run_all cmd=bin/instance run scripts/upgrade.py",
        "supervisord.start all",
    ]
    assert recipe.once[0].primary == "test-app-1"


def test_the_application_is_built_as_the_formula_builds_it(environment):
    script = (CHECKOUT / "salt/app/files/build-release.sh").read_text("utf-8")
    defaults = yaml.safe_load((CHECKOUT / "salt/app/defaults.yaml").read_text("utf-8"))
    recipe = parse_recipe(raw(), environment)
    values = {'"$python"': defaults["python"], '"$release/': "", '"$requirements"': defaults["requirements"], '"': ""}
    lines = [line.strip() for line in script.splitlines() if "venv" in line]
    for old, new in values.items():
        lines = [line.replace(old, new) for line in lines]
    built = [step.kwargs["cmd"] for step in recipe.build]
    assert built == [line.replace("$release/", "").replace("$requirements", "requirements.txt") for line in lines]
    assert (recipe.source.directory, recipe.source.user) == (defaults["dir"], defaults["user"])
    assert recipe.source.repository == defaults["repository"]
    ports = range(defaults["first_port"], defaults["first_port"] + defaults["instances"])
    assert [check.http for check in recipe.health.checks] == [f"http://127.0.0.1:{port}/health" for port in ports]


@pytest.mark.parametrize(
    ("given", "batch"),
    [
        ({}, "1 100%"),
        ({"batch": 2}, "2"),
        ({"batch": "25%"}, "25%"),
        ({"batch": "1, 25%,100%"}, "1 25% 100%"),
        ({"canary": 2}, "2 100%"),
        ({"canary": 1, "batch": "50%"}, "1 50%"),
    ],
)
def test_the_operator_can_say_other_batches(given, batch, environment):
    recipe = parse_recipe(raw(), environment, Overrides(**given))
    assert " ".join(map(str, recipe.strategy.batch)) == batch


def test_each_folder_of_the_pillar_but_common_is_an_environment():
    """A master makes an environment of each (bootstrap/master.sh.j2)."""
    folders = {path.name for path in (CHECKOUT / "pillar").iterdir() if path.is_dir()}
    assert folders == {"common", *(path.parent.name for path in CHECKOUT.glob("pillar/*/environment.sls"))}


def test_the_operator_can_say_where_and_when_to_pause(environment):
    made = raw({"balancer": {"kind": "none"}})
    recipe = parse_recipe(made, environment, Overrides(group="db", pause="canary"))
    assert (recipe.servers, recipe.strategy.pause.value) == ("db", "canary")
    assert servers_of(recipe, environment) == ("test-db-1", "test-db-2")
    assert made["release"]["servers"] == "app", "the pillar itself stays as it is"


@pytest.mark.parametrize(
    ("line", "args", "kwargs"),
    [
        ("supervisord.stop all", ("all",), {}),
        ("git.checkout {directory}/source {sha} user={user}", ("{directory}/source", "{sha}"), {"user": "{user}"}),
        ("a.b 3 -2 1.5 true null", (3, -2, 1.5, True, None), {}),
        ("a.b 0755 12:30 1_000 2026-12-24 1e3 0x1f", ("0755", "12:30", "1_000", "2026-12-24", "1e3", "0x1f"), {}),
        ("a.b 'two words' x=\"three more words\"", ("two words",), {"x": "three more words"}),
        ("a.b x= y=1 z=a=b a==b", ("a==b",), {"x": "", "y": 1, "z": "a=b"}),
        ("a.b [1] '{x: 1}' &a *b ! %", ("[1]", "{x: 1}", "&a", "*b", "!", "%"), {}),
    ],
)
def test_a_step_is_a_line_as_on_salts_command_line(line, args, kwargs):
    read = read_line(line)
    assert (read["args"], read["kwargs"]) == (args, kwargs)
    assert [type(argument) for argument in read["args"]] == [type(argument) for argument in args]


def test_a_line_may_stand_beside_other_keys():
    step = Step.model_validate({"call": "supervisord.stop all", "deadline_s": 9, "kwargs": {"user": "x"}})
    assert (step.call, step.args, dict(step.kwargs), step.deadline_s) == (
        "supervisord.stop",
        ("all",),
        {"user": "x"},
        9,
    )


def test_steps_that_build_have_more_time():
    assert (Step.model_validate("a.b").deadline_s, BuildStep.model_validate("a.b").deadline_s) == (60, 900)
    assert present(OnceStep.model_validate({"call": "a.b", "undo": "c.d e"}).undo).args == ("e",)


def test_what_is_filled_in_is_never_read_again():
    step = Step.model_validate(
        {"call": "event.send", "args": ["{reason} ${HOME} {} { x }", 5], "kwargs": {"k": [{"{sha}": "{user}"}]}}
    )
    filled = fill(step, {"reason": "'{sha}' $(x)", "sha": "1234567", "user": "app"})
    assert filled == Call("event.send", ("'{sha}' $(x) ${HOME} {} { x }", 5), {"k": [{"1234567": "app"}]})
    with pytest.raises(KeyError):
        fill(step, {})


def test_checks_become_calls_of_the_health_module(environment):
    checks: list[dict[str, Any]] = [
        {"http": "http://{server}/", "status": 204, "body": "{sha}"},
        {"tcp": "127.0.0.1:80"},
        {"command": "x", "user": "{user}"},
    ]
    checks[2]["user"] = "app"
    recipe = parse_recipe(raw({"health": {"checks": checks, "readiness_delay_s": 7}}), environment)
    first, second, third = (fill_check(check, recipe.health, WORDS) for check in recipe.health.checks)
    assert (first.function, first.args, first.kwargs["status"], first.kwargs["body"]) == (
        "health.http",
        ("http://@server/",),
        204,
        "@sha",
    )
    assert (second.function, second.args, second.kwargs["readiness_delay_s"]) == ("health.tcp", ("127.0.0.1", 80), 7)
    assert (third.function, third.args, third.kwargs["runas"]) == ("health.command", ("x",), "app")
    assert fill_check(recipe.health.checks[1], recipe.health, WORDS, delayed=False).kwargs["readiness_delay_s"] == 0


@pytest.mark.parametrize(
    ("text", "total", "down", "up"),
    [("2", 10, 2, 2), (5, 3, 3, 3), ("25%", 10, 2, 3), ("1%", 10, 0, 1), ("100%", 7, 7, 7)],
)
def test_amounts(text, total, down, up):
    assert (amount(text).of(total), amount(text).of(total, up=True)) == (down, up)
    assert amount(str(amount(text))) == amount(text) == amount(Amount(amount(text).number, percent="%" in str(text)))


def test_the_key_on_is_true_in_yaml_and_still_read(environment):
    made = yaml.safe_load("{kind: haproxy, on: app, backend: app, server: ['{server}-a', '{server}-b']}")
    recipe = parse_recipe(raw({"balancer": made}), environment)
    assert isinstance(recipe.balancer, HaproxySpec)
    assert recipe.balancer.on == ("app",)


def test_a_webhooks_secret_is_in_no_log_and_no_journal(environment):
    recipe = parse_recipe(raw({"webhook": {"url": "https://hooks.example.org/T0/secret"}}), environment)
    assert "secret" not in repr(recipe) + str(recipe) + recipe.model_dump_json() + json.dumps(
        recipe.model_dump(mode="json")
    )
    assert present(recipe.webhook).kept
    assert not present(restore_recipe(recipe.model_dump_json()).webhook).kept
    kept = parse_recipe(raw({"webhook": {"url": "sdb://secrets/hook"}}), environment)
    assert present(restore_recipe(kept.model_dump_json()).webhook).url.get_secret_value() == "sdb://secrets/hook"


BERLIN = Windows(
    timezone="Europe/Berlin",
    deny=("Fri 15:00-24:00", "Sat,Sun", "Mon-Thu 22:00-06:00", "12:00-12:30"),
    freeze=("2026-12-20..2027-01-03",),
)


@pytest.mark.parametrize(
    ("moment", "by"),
    [
        ("2026-11-20T14:59+01:00", ""),
        ("2026-11-20T15:00+01:00", "Fri 15:00-24:00"),
        ("2026-11-20T14:00+00:00", "Fri 15:00-24:00"),
        ("2026-07-17T13:00+00:00", "Fri 15:00-24:00"),  # summer time
        ("2026-11-22T09:00+01:00", "Sat,Sun"),
        ("2026-11-23T05:59+01:00", ""),  # Sunday's night is nobody's
        ("2026-11-23T22:00+01:00", "Mon-Thu 22:00-06:00"),
        ("2026-11-27T05:59+01:00", "Mon-Thu 22:00-06:00"),
        ("2026-11-27T06:00+01:00", ""),
        ("2026-11-24T12:29+01:00", "12:00-12:30"),
        ("2026-12-22T10:00+01:00", "2026-12-20..2027-01-03"),
        ("2027-01-04T10:00+01:00", ""),
    ],
)
def test_windows(moment, by):
    refusal = denied(BERLIN, datetime.fromisoformat(moment))
    assert (f"the recipe denies {by}" in refusal) if by else refusal == ""


def test_a_denial_says_whose_clock():
    refusal = denied(BERLIN, datetime(2026, 11, 20, 15, tzinfo=ZoneInfo("Europe/Berlin")))
    assert refusal == "it is Fri 2026-11-20 15:00 in Europe/Berlin, and the recipe denies Fri 15:00-24:00"
    assert denied(None, datetime(2026, 11, 20, tzinfo=ZoneInfo("UTC"))) == ""
