"""What is wrong with a pillar is said all at once, each with its path, in plain words: tables of cases."""

from __future__ import annotations

import contextlib
import re

import pytest
from support.pillar_cases import cases, changed, pillar

from saltlick.environment.pillar import check_environment, parse_environment
from saltlick.errors import InvalidInput

TOPICS = ("reading", "network", "firewall", "servers", "balancers", "buckets", "long_form", "together")


def problems_of(case):
    with pytest.raises(InvalidInput) as caught:
        parse_environment(changed(pillar("prod"), case.get("change", {}), case.get("without", ())), environment="prod")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("topic", TOPICS)
def test_a_pillar_that_is_wrong_by_itself(topic):
    for case in cases(topic):
        assert problems_of(case) == case["problems"], case["says"]


@pytest.mark.parametrize("case", cases("peers"), ids=lambda case: case["says"])
def test_a_pillar_that_is_wrong_beside_its_peers(case):
    others = {}
    for name in case.get("others", ["control", "test"]):
        raw = changed(pillar(name), case.get(name, {}))
        others[name] = parse_environment(raw, environment=name)
    own = parse_environment(
        changed(pillar("prod"), case.get("change", {}), case.get("without", ())), environment="prod"
    )
    with pytest.raises(InvalidInput) as caught:
        check_environment(own, others)
    assert [str(problem) for problem in caught.value.problems] == case["problems"]


@pytest.mark.parametrize("name", ["control", "prod", "test"])
def test_the_reference_estate_is_sound(name):
    environments = {each: parse_environment(pillar(each), environment=each) for each in ("control", "prod", "test")}
    check_environment(environments.pop(name), environments)


def test_a_mistyped_environment_is_told_apart_from_a_broken_one():
    with pytest.raises(InvalidInput, match="the pillar of prd does not say what it consists of"):
        parse_environment({}, environment="prd")
    with pytest.raises(InvalidInput, match=re.escape("environment.name: prod is not test, which is the environment")):
        parse_environment(pillar("prod"), environment="test")
    with pytest.raises(InvalidInput, match="environment: this has to be a mapping"):
        parse_environment({"environment": ["prod"]}, environment="prod")


def test_no_message_shows_pydantics_own_words():
    jargon = re.compile(
        r"pydantic|validat|Input should|value_error|NoneType|dict\b|tuple|str\b|\bint\b|field|function-"
    )
    lines = [line for topic in TOPICS for case in cases(topic) for line in case["problems"]]
    assert not [line for line in lines if jargon.search(line.partition(": ")[2])]


def spots(raw, path=""):
    """The path of everything in a pillar."""
    if path:
        yield path
    for step, value in raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ():
        yield from spots(value, f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}".lstrip("."))


@pytest.mark.parametrize("odd", [None, "", {5: []}], ids=repr)
def test_whatever_stands_wherever_is_taken_or_told_and_never_crashes(odd):
    entry = {"kind": "route_table", "name": "x", "properties": {"vpc": {"ref": "vpc/main"}}, "after": ["vpc/main"]}
    full = changed(pillar("prod"), {"resources": [entry], "tags": {"a": "b"}, "servers.db.names": ["a", "b"]})
    control = parse_environment(pillar("control"), environment="control")
    for path in spots(full["environment"]):
        with contextlib.suppress(InvalidInput):
            check_environment(parse_environment(changed(full, {path: odd}), environment="prod"), {"control": control})
