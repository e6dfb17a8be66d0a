"""The pillar key `notify`: what is wrong is said all at once, with its path and without an address."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from support.pillar_cases import cases

from saltlick.errors import InvalidInput
from saltlick.notify.condition import Feature, Severity
from saltlick.notify.pillar import parse_notify
from saltlick.reference.json_schema import schema


@pytest.mark.parametrize("case", cases("notify"), ids=lambda case: case["says"])
def test_what_is_wrong(case):
    with pytest.raises(InvalidInput) as caught:
        parse_notify({"notify": case["notify"]}, "prod")
    assert [str(problem) for problem in caught.value.problems] == case["problems"]
    assert "hush" not in str(caught.value)


def test_an_address_alone_is_told_everything():
    notify = parse_notify({"notify": {"targets": {"oncall": "json://127.0.0.1:1/hush"}}}, "prod")
    assert notify is not None
    target = notify.targets["oncall"]
    assert all(target.wants(feature, severity) for feature in Feature for severity in Severity if severity != "ok")
    assert "hush" not in repr(notify)
    assert "hush" not in notify.model_dump_json()


def test_a_target_may_want_less():
    raw = {"targets": {"oncall": {"url": "sdb://vault/pager", "features": ["backup"], "severities": ["failure"]}}}
    notify = parse_notify({"notify": raw}, "prod")
    assert notify is not None
    target = notify.targets["oncall"]
    wanted = {(f.value, s.value) for f in Feature for s in Severity if target.wants(f, s)}
    assert wanted == {("backup", "failure")}


def test_nothing_declared_is_nobody():
    assert parse_notify({}, "prod") is None


@pytest.mark.parametrize(
    "url",
    [
        "mailto://user:pass@example.com?to=ann@example.com",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "ntfy://topic",
        "pagerduty://A1BRTD4JD@TIiajkdnlazkcOXrIdevi7F",
        "jsons://chat.example.com/hooks/x",
        "sdb://vault/anything",
    ],
)
def test_services_that_people_have_are_taken(url):
    assert parse_notify({"notify": {"targets": {"a": url}}}, "prod") is not None


def test_the_schema_for_editors_takes_both_forms_and_refuses_what_is_none():
    check = jsonschema.Draft202012Validator(schema())
    both = {"remind_s": 600, "targets": {"a": "ntfy://topic", "b": {"url": "ntfy://topic", "severities": ["failure"]}}}
    assert check.is_valid({"notify": both})
    refused: tuple[dict[str, Any], ...] = (
        {"targets": {}},
        {"targets": {"a": 5}},
        {"targets": {"a": {"url": "ntfy://x", "severities": ["ok"]}}},
    )
    for wrong in refused:
        assert not check.is_valid({"notify": wrong}), wrong
