"""The reference estate against a plain moto server, by `salt-run` without a running master, looked at by the checker.

Operators' commands go through `salt-run`; variations call what it calls, in this process. The tests of this file are one
story and run in order on one account.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from support import checker
from support.farm import ESTATE, Farm, farm

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm(tmp_path_factory.mktemp("master") / "salt") as made:
        yield made


def test_plan_of_an_empty_account_shows_everything_and_changes_nothing(account: Farm) -> None:
    run = account.salt_run("environment.plan", "control,test", "--out=json")
    assert account.changing_calls() == {}
    actions = {(action["address"], action["action"]) for action in json.loads(run.stdout)["actions"]}
    for address in ("vpc/main", "nat_gateway/az1", "instance/app-1", "route/control.public:10.20.0.0/16"):
        assert (address, "create") in {(where.rpartition("test:")[2], what) for where, what in actions}, actions
    assert checker.leftovers() == []


def test_apply_builds_exactly_the_estate(account: Farm) -> None:
    account.salt_run("environment.apply", ESTATE)
    account.require_exact()


def test_applied_again_nothing_is_called_that_changes(account: Farm) -> None:
    account.salt_run("environment.apply", ESTATE)
    assert account.changing_calls() == {}
    calls = dict(account.stats()["by_operation"])
    assert calls.pop("elasticloadbalancing:DescribeTargetGroupAttributes", 0) == 2, calls
    assert sum(calls.values()) <= 21, calls


@pytest.mark.parametrize("environment", ["control", "prod", "test"])
def test_each_environment_alone_agrees(account: Farm, environment: str) -> None:
    """No environment's own apply undoes what another declares in its tables."""
    account.command("apply", environment)
    assert account.changing_calls() == {}
    account.require_exact()


def test_plan_as_json_is_data_and_says_that_nothing_changes(account: Farm) -> None:
    run = account.salt_run("environment.plan", "prod", "--out=json")
    plan = json.loads(run.stdout)
    assert plan["changes_anything"] is False
    assert {action["action"] for action in plan["actions"]} == {"keep"}


def test_what_a_hand_took_away_comes_back(account: Farm) -> None:
    ec2 = boto3.client("ec2")
    take_away(ec2)
    assert checker.problems() != []
    account.command("apply", ESTATE)
    account.require_exact()


def take_away(ec2: Any) -> None:
    """A route, a rule, an association and a server, by hand."""
    items = checker.Account().items
    table = next(t for t in items["rtb"] if checker.name(t) == "prod-private-az1-rtb")
    ec2.delete_route(RouteTableId=table["_id"], DestinationCidrBlock="0.0.0.0/0")
    ec2.disassociate_route_table(AssociationId=table["Associations"][0]["RouteTableAssociationId"])
    group = next(g for g in items["sg"] if checker.name(g) == "db")
    ec2.revoke_security_group_ingress(GroupId=group["_id"], IpPermissions=group["IpPermissions"][:1])
    server = next(i for i in items["instance"] if checker.name(i) == "test-app-2")
    ec2.terminate_instances(InstanceIds=[server["_id"]])


def test_one_environment_goes_and_the_others_stay(account: Farm) -> None:
    account.command("destroy", "prod", confirm="prod")
    account.require_exact("control", "test")


def test_destroy_leaves_nothing(account: Farm) -> None:
    account.command("destroy", "control,test", confirm="control,test")
    assert checker.leftovers() == []


def test_environments_built_one_after_the_other_make_the_same_estate(account: Farm) -> None:
    for environment in ("control", "prod", "test"):
        account.command("apply", environment)
    account.require_exact()


def test_destroying_everything_at_once_leaves_nothing(account: Farm) -> None:
    account.salt_run("environment.destroy", ESTATE, f"confirm={ESTATE}")
    assert checker.leftovers() == []


def test_destroying_what_is_gone_changes_nothing(account: Farm) -> None:
    account.command("destroy", ESTATE, confirm=ESTATE)
    assert account.changing_calls() == {}


FAULTS = [{"lost_rate": 0.1}, {"late_error_rate": 0.1}, {"throttle_rate": 0.2, "lost_rate": 0.03}]


@pytest.mark.parametrize("faults", FAULTS, ids=lambda faults: "+".join(faults))
def test_faults_of_the_api_make_no_duplicates(account: Farm, faults: dict[str, Any]) -> None:
    """Lost answers, 500s, throttling, throughout: it takes one run, or a second, and the account is as declared."""
    account.servers.reset_aws()
    for seed in (1, 2, 3):
        answer = account.try_command("apply", ESTATE, seed=seed, **faults)
        if answer.retcode == 0:
            break
    assert answer.retcode == 0, answer
    assert sum(account.stats()[name] for name in ("lost", "failed", "throttled")) > 0
    account.require_exact()
