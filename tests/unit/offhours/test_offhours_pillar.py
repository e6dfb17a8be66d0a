"""Off-hours: what is wrong is said all at once, production is refused whatever is said, and the order follows the tiers."""

from __future__ import annotations

import contextlib
import copy
import re
from datetime import date

import jsonschema
import pytest
from support.pillar_cases import CHECKOUT, cases, changed, pillar, spot
from support.pillar_cases import read as read_once

from saltlick.environment.pillar import parse_environment
from saltlick.errors import InvalidInput
from saltlick.offhours.pillar import parse_offhours, start_order, stop_order, switched_groups
from saltlick.offhours.pillar.times import hour
from saltlick.reference.json_schema import schema

FILE = CHECKOUT / "pillar/test/offhours.sls"


@pytest.fixture(scope="module")
def environment():
    return parse_environment(pillar("test"), environment="test")


def raw(change=None, without=()):
    made = copy.deepcopy(read_once(FILE))
    for path, value in (change or {}).items():
        inside, last = spot(made["offhours"], path)
        inside[last] = copy.deepcopy(value)
    for path in without:
        del made["offhours"][path]
    return made


@pytest.mark.parametrize("case", cases("offhours"), ids=lambda case: case["says"])
def test_off_hours_that_are_wrong(case, environment):
    with pytest.raises(InvalidInput) as caught:
        parse_offhours(raw(case.get("change"), case.get("without", ())), environment)
    assert [str(problem) for problem in caught.value.problems] == case["problems"]


def test_no_message_shows_pydantics_own_words():
    jargon = re.compile(r"pydantic|validat|Input should|value_error|NoneType|dict\b|tuple")
    assert not [line for case in cases("offhours") for line in case["problems"] if jargon.search(line)]


def test_none_and_what_is_none(environment):
    with pytest.raises(InvalidInput, match="the pillar of test has no off-hours"):
        parse_offhours({}, environment)
    with pytest.raises(InvalidInput, match="offhours: this has to be a mapping"):
        parse_offhours({"offhours": "19:00"}, environment)


@pytest.mark.parametrize("made", [{}, {"offhours": None}, {"offhours": "off"}, raw(), raw({"timezone": "EST", "x": 1})])
def test_production_is_refused_in_one_sentence_whatever_is_said(made):
    prod = parse_environment(pillar("prod"), environment="prod")
    with pytest.raises(InvalidInput) as caught:
        parse_offhours(made, prod)
    [problem] = caught.value.problems
    assert str(problem) == "prod is marked production: it is never switched off, whatever pillar, tags or arguments say"


@pytest.mark.parametrize("odd", [None, {5: []}, [[]], True], ids=repr)
def test_whatever_stands_wherever_is_taken_or_told_and_never_crashes(odd, environment):
    keys = (
        "timezone",
        "off",
        "on",
        "skip_days",
        "groups",
        "stop_order",
        "start_order",
        "covers",
        "tag",
        "checks",
        "settle_s",
    )
    for key in keys:
        with contextlib.suppress(InvalidInput):
            parse_offhours(raw({key: odd}), environment)


def test_the_keys_that_yaml_takes_for_true_and_false(environment):
    said = raw()["offhours"]
    found = {True: said["on"], False: said["off"], **{key: said[key] for key in said if key not in ("on", "off")}}
    assert parse_offhours({"offhours": found}, environment) == parse_offhours(raw(), environment)


def test_the_schema_for_editors_takes_the_example_and_refuses_what_is_none():
    check = jsonschema.Draft202012Validator(schema())
    assert check.is_valid(raw({"skip_days": ["2026-12-24"]}))
    for wrong in ({"of": 1}, {"off": 19}, {"covers": {"ec": 1}}, {"settle_s": "long"}):
        assert not check.is_valid(raw(wrong)), wrong


def test_hours_and_days_are_read_and_said(environment):
    assert [str(hour(text)) for text in ("mon-fri 19:00", "Sat,Sun 8:00", "07:00", "Fri-Mon 20:00")] == [
        "Mon-Fri 19:00", "Sat,Sun 08:00", "Mon-Sun 07:00", "Mon,Fri,Sat,Sun 20:00",
    ]  # fmt: skip
    found = parse_offhours(raw({"skip_days": ["2026-12-31..2027-01-02", date(2026, 12, 24)]}), environment)
    assert [str(day) for day in found.skip_days] == ["2026-12-24", "2026-12-31", "2027-01-01", "2027-01-02"]


def test_the_order_is_the_tiers_backwards_and_the_masters_group_never_goes(environment):
    found = parse_offhours(raw(), environment)
    assert stop_order(found, environment) == (("app",), ("db",))
    assert start_order(found, environment) == (("db",), ("app",))
    control = parse_environment(pillar("control"), environment="control")
    assert switched_groups(found, control) == ()
    with pytest.raises(InvalidInput, match=r"offhours: control has no server group that could be switched"):
        parse_offhours(raw(), control)
    with pytest.raises(InvalidInput, match=r"offhours.groups: salt-master is the Salt master's: nobody would start it"):
        parse_offhours(raw({"groups": "salt-master"}), control)


def test_only_the_groups_that_are_named_are_switched(environment):
    found = parse_offhours(raw({"groups": ["app"]}), environment)
    assert switched_groups(found, environment) == ("app",)
    assert stop_order(found, environment) == (("app",),)
    together = parse_environment(
        changed(pillar("test"), {"servers.db.tier": 1, "servers.app.tier": 1}), environment="test"
    )
    assert start_order(parse_offhours(raw(), together), together) == (("db", "app"),)
