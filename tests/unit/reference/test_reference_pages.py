"""What is written from the models: the schema for editors and the page for readers."""

from __future__ import annotations

import dataclasses

import pytest
from support.pillar_cases import CHECKOUT, changed, pillar

from saltlick.kinds import KINDS
from saltlick.reference import markdown
from saltlick.reference.json_schema import schema

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def held_against():
    """`held_against(pillar)`: the paths at which the schema finds something wrong."""
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    return lambda raw: sorted(error.json_path for error in validator.iter_errors(raw))


@pytest.mark.parametrize("name", ["control", "prod", "test"])
def test_the_schema_takes_the_reference_estate(held_against, name):
    assert held_against(pillar(name)) == []


def test_the_schema_takes_both_ways_to_write_a_list(held_against):
    assert (
        held_against(
            changed(pillar("prod"), {"firewall.lb[0].tcp": ["80-90", 443], "servers.app.firewall": ["app", "db"]})
        )
        == []
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"regoin": 1}, "$.environment"),
        ({"servers.app.sunbet": "x"}, "$.environment.servers.app"),
        ({"firewall.lb[0].tcp": True}, "$.environment.firewall.lb[0].tcp"),
        ({"subnets.private.nat": "some"}, "$.environment.subnets.private.nat"),
        ({"resources": [{"kind": "subnets", "name": "x"}]}, "$.environment.resources[0].kind"),
        (
            {"resources": [{"kind": "vpc", "name": "x", "properties": {"cird": 1}}]},
            "$.environment.resources[0].properties",
        ),
        (
            {"resources": [{"kind": "vpc", "name": "x", "properties": {"cidr": 1}}]},
            "$.environment.resources[0].properties.cidr",
        ),
    ],
)
def test_the_schema_refuses(held_against, change, path):
    assert held_against(changed(pillar("prod"), change)) == [path]


def test_the_page_is_the_one_that_the_models_write():
    committed = (CHECKOUT / "docs" / "pillar.md").read_text("utf-8")
    assert committed == markdown.page(), "run: python -m saltlick.reference.markdown > docs/pillar.md"


def test_the_page_has_every_key_and_every_property():
    page = markdown.page()
    for model in markdown.sections():
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in page
            assert field.description, f"{model.__name__}.{name} says what it is"
    for kind in KINDS.values():
        assert f"### `{kind.name}`" in page
        assert all(f"`{spot.name}`" in page for spot in dataclasses.fields(kind.properties))
