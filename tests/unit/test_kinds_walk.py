"""No kind may be half done: each is walked, and everything the engine, the docs and the IAM policy need is there."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from saltlick import kinds
from saltlick.engine.resource import Effect, Kind, Properties
from saltlick.kinds import KINDS

if TYPE_CHECKING:
    from types import ModuleType

IAM_ACTION = re.compile(r"(ec2|elasticloadbalancing|iam|s3|ssm|tag):[A-Z][A-Za-z]+")
NAMES = {
    "bucket", "elastic_ip", "iam_role", "image", "instance", "instance_profile", "internet_gateway", "key_pair", "listener",
    "load_balancer", "nat_gateway", "peering", "route", "route_table", "route_table_association", "security_group",
    "security_group_rules", "subnet", "target_group", "target_registration", "vpc",
}  # fmt: skip


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def module_of(kind: Kind) -> ModuleType:
    module = inspect.getmodule(type(kind))
    assert module
    return module


def overrides(kind: Kind, method: str) -> bool:
    return getattr(type(kind), method) is not getattr(Kind, method)


def test_the_package_was_walked() -> None:
    assert set(KINDS) >= NAMES


def test_one_file_per_kind_named_like_it(kind: Kind) -> None:
    assert Path(str(module_of(kind).__file__)).stem == kind.name
    assert Path(str(module_of(kind).__file__)).parent == Path(kinds.__path__[0])


def test_it_can_do_all_that_the_engine_asks(kind: Kind) -> None:
    assert overrides(kind, "observe")
    if kind.lookup:
        return
    assert overrides(kind, "create")
    assert overrides(kind, "update")
    assert overrides(kind, "destroy")
    assert kind.settles == overrides(kind, "settle")


def test_its_fields_say_what_they_are_and_what_a_change_takes(kind: Kind) -> None:
    assert issubclass(kind.properties, Properties)
    assert dataclasses.is_dataclass(kind.properties)
    for spot in dataclasses.fields(kind.properties):
        assert spot.metadata["doc"].endswith((".", ")")), spot.name
        assert isinstance(spot.metadata["effect"], Effect)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(kind.properties.__new__(kind.properties), spot.name, None)


def test_it_names_its_iam_actions_by_verb(kind: Kind) -> None:
    verbs = {"observe"} if kind.lookup else {"observe", "create", "update", "destroy"}
    assert set(kind.iam) == verbs
    for verb, actions in kind.iam.items():
        assert actions, verb
        assert len(set(actions)) == len(actions), verb
        assert all(IAM_ACTION.fullmatch(action) for action in actions), verb
    reading = [action.partition(":")[2] for action in kind.iam["observe"]]
    assert all(action.startswith(("Describe", "Get", "List")) for action in reading)


def test_it_has_docs_with_its_source(kind: Kind) -> None:
    module = module_of(kind)
    assert module.__doc__
    assert len(module.__doc__.splitlines()[0]) > 20
    assert "Source:" in (type(kind).__doc__ or "")


def test_it_has_an_id_and_knows_only_kinds_that_exist(kind: Kind) -> None:
    assert "id" in kind.attributes
    assert kind.destroy_after <= set(KINDS)
    assert getattr(kind, "dies_with", frozenset()) <= set(KINDS)


def test_it_has_cases() -> None:
    """Read, not imported: the unit tests stand without moto."""
    cases = (Path(__file__).parents[1] / "functional" / "kinds" / "estate.py").read_text()
    missing = [name for name in KINDS if f'_("{name}", ' not in cases]
    assert missing == []
    changes = cases.partition("CHANGES:")[2]
    assert [name for name, kind in KINDS.items() if f'"{name}/' not in changes and not kind.lookup] == []
