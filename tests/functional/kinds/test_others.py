"""What is not ours is neither seen nor touched, even where names collide; what is in our way is got out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from saltlick.engine.resource import Key
from saltlick.errors import AwsError
from saltlick.kinds import KINDS

from .estate import BY_ADDRESS, policy, ref, web
from .world import World, having

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.aws import AwsCloud


def test_objects_without_our_tags_are_not_seen(world: World, cloud: AwsCloud) -> None:
    """An account full of look-alikes: same ranges, same names, no tags, or a Name tag alone."""
    vpc = cloud.call("ec2", "create_vpc", CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
    cloud.call("ec2", "create_tags", Resources=[vpc], Tags=[{"Key": "Name", "Value": "prod-main"}])
    cloud.call("ec2", "create_subnet", VpcId=vpc, CidrBlock="10.10.0.0/24")
    group = cloud.call("ec2", "create_security_group", VpcId=vpc, GroupName="app", Description="d")["GroupId"]
    cloud.call("ec2", "create_route_table", VpcId=vpc)
    cloud.call("ec2", "allocate_address", Domain="vpc")
    cloud.call("ec2", "run_instances", ImageId="ami-1", MinCount=1, MaxCount=1, SecurityGroupIds=[group])
    cloud.call("elbv2", "create_target_group", Name="prod-www", VpcId=vpc, Port=80, Protocol="HTTP")
    cloud.call("iam", "create_role", RoleName="prod-app", AssumeRolePolicyDocument=policy("sts:AssumeRole"))
    cloud.call("iam", "create_instance_profile", InstanceProfileName="prod-app")
    seen = {kind: world.see_all(kind) for kind in KINDS if kind != "image"}
    assert {kind: found for kind, found in seen.items() if found} == {}


def test_tags_of_ours_on_another_kind_do_not_confuse(world: World, cloud: AwsCloud) -> None:
    """An address tag copied to an object of another kind (a snapshot tool does that) makes it none of ours."""
    world.make(BY_ADDRESS["vpc/main"])
    subnet = world.make(BY_ADDRESS["subnet/b"])["id"]
    vpc_tags = world.require(BY_ADDRESS["vpc/main"]).tags or {}
    cloud.call("ec2", "create_tags", Resources=[subnet], Tags=[{"Key": k, "Value": v} for k, v in vpc_tags.items()])
    assert world.see_all("subnet") == []
    assert len(world.see_all("vpc")) == 1


@pytest.mark.parametrize("address", ["iam_role/app", "instance_profile/app", "security_group/app", "key_pair/deploy"])
def test_a_name_that_somebody_else_has_is_refused_by_aws(world: World, cloud: AwsCloud, address: str) -> None:
    vpc = world.make(BY_ADDRESS["vpc/main"])["id"]
    world.make(BY_ADDRESS["iam_role/other"])
    cloud.call("iam", "create_role", RoleName="prod-app", AssumeRolePolicyDocument=policy("sts:AssumeRole"))
    cloud.call("iam", "create_instance_profile", InstanceProfileName="prod-app")
    cloud.call("ec2", "create_security_group", VpcId=vpc, GroupName="app", Description="theirs")
    cloud.call("ec2", "create_key_pair", KeyName="prod-deploy")
    resource = BY_ADDRESS[address]
    if address == "instance_profile/app":
        resource = having(resource, role=ref("iam_role/other"))
    with pytest.raises(AwsError) as refused:
        world.make(resource)
    assert refused.value.code in {"EntityAlreadyExists", "InvalidGroup.Duplicate", "InvalidKeyPair.Duplicate"}


def test_a_subnet_under_somebody_elses_table_is_taken_back(world: World, cloud: AwsCloud) -> None:
    association = BY_ADDRESS["route_table_association/a"]
    subnet, vpc = world.make(BY_ADDRESS["subnet/a"])["id"], world.made[Key("prod", "vpc/main")]["id"]
    theirs = cloud.call("ec2", "create_route_table", VpcId=vpc)["RouteTable"]["RouteTableId"]
    cloud.call("ec2", "associate_route_table", RouteTableId=theirs, SubnetId=subnet)
    assert world.see(association) is None
    world.make(BY_ADDRESS["route_table/public"])
    world.make(association, cloud=Occupied(cloud))
    assert world.differences(association) == ()


class Occupied:
    """AWS's own answer to an association too many; moto gives the old one back instead."""

    def __init__(self, cloud: AwsCloud) -> None:
        self._cloud = cloud
        self.region, self.clock, self.reading = cloud.region, cloud.clock, cloud.reading

    def patient(self, deadline_s: float) -> Occupied:
        return self

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        if operation == "associate_route_table":
            raise AwsError(operation, "Resource.AlreadyAssociated", "the subnet has an association already")
        return self._cloud.call(service, operation, **parameters)


def test_a_route_that_leads_nowhere_is_replaced(world: World, cloud: AwsCloud) -> None:
    """What a deleted target left behind in a table stands in the way of its successor."""
    route = BY_ADDRESS["route/public:0.0.0.0/0"]
    world.make(BY_ADDRESS["route_table/public"])
    table = world.made[Key("prod", "route_table/public")]["id"]
    gateway = world.make(BY_ADDRESS["internet_gateway/main"])["id"]
    cloud.call("ec2", "create_route", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    world.make(route)
    assert world.differences(route) == ()


def test_a_route_that_leads_elsewhere_is_not(world: World, cloud: AwsCloud) -> None:
    world.make(BY_ADDRESS["internet_gateway/main"])
    world.make(BY_ADDRESS["route_table/public"])
    table = world.made[Key("prod", "route_table/public")]["id"]
    nat = world.make(BY_ADDRESS["nat_gateway/az1"])["id"]
    cloud.call("ec2", "create_route", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    with pytest.raises(AwsError, match="RouteAlreadyExists"):
        world.make(BY_ADDRESS["route/public:0.0.0.0/0"])


def test_a_route_belongs_to_its_peerings_environment(world: World) -> None:
    """Prod's route in control's table is prod's, and neither control's nor, without prod in scope, anybody's."""
    theirs = BY_ADDRESS["route/control.public:10.10.0.0/16"]
    world.make(theirs)
    world.make(BY_ADDRESS["route/public:172.20.0.0/16"])
    assert {str(o.key) for o in world.see_all("route", "prod", wanted={})} == {
        "prod:route/control.public:10.10.0.0/16",
        "prod:route/public:172.20.0.0/16",
    }
    assert world.see_all("route", "control", wanted={}) == []


def test_rules_of_a_group_are_one_resource_and_a_bare_group_has_none(world: World) -> None:
    world.make(BY_ADDRESS["security_group/lb"])
    assert world.see_all("security_group_rules", wanted={}) == []
    rules = having(BY_ADDRESS["security_group_rules/app"], group=ref("security_group/lb"), ingress=(web(80),))
    world.make(rules)
    (observed,) = world.see_all("security_group_rules", wanted={})
    assert observed.key == Key("prod", "security_group_rules/lb")
    assert observed.properties["ingress"] == (web(80),)


def test_a_stopped_server_is_there_and_is_not_waited_for(world: World, cloud: AwsCloud) -> None:
    server = BY_ADDRESS["instance/app-2"]
    attributes = world.make(server)
    cloud.call("ec2", "stop_instances", InstanceIds=[attributes["id"]])
    assert not world.require(server).pending
    assert KINDS["instance"].settle(cloud, attributes, 0)["id"] == attributes["id"]


def test_what_a_server_is_made_with(world: World, cloud: AwsCloud) -> None:
    """IMDSv2 with one hop, an encrypted volume that goes with it, and tags on both."""
    attributes = world.make(BY_ADDRESS["instance/app-1"])
    (reservation,) = cloud.call("ec2", "describe_instances", InstanceIds=[attributes["id"]])["Reservations"]
    (instance,) = reservation["Instances"]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    (volume,) = cloud.call("ec2", "describe_volumes", Filters=[])["Volumes"]
    assert volume["Encrypted"]
    assert volume["Size"] == 30
    assert {tag["Key"] for tag in volume["Tags"]} >= {"Name", "saltlick:environment", "saltlick:address"}


@pytest.mark.parametrize("kind", sorted(name for name, kind in KINDS.items() if not kind.lookup))
def test_what_is_ours_is_seen_though_nothing_is_declared(world: World, kind: str) -> None:
    """Also what nobody uses: else no plan would show it, and nothing would ever delete it."""
    resource = next(resource for resource in BY_ADDRESS.values() if resource.kind == kind)
    world.make(resource)
    assert resource.key in {observed.key for observed in world.see_all(kind, resource.environment, wanted={})}
