"""What the short form becomes: the reference estate by name, and what each option changes about it."""

from __future__ import annotations

import pytest
from support.pillar_cases import cases, changed, pillar

from saltlick.engine.graph import ordered
from saltlick.engine.resource import Join, Key, Ref, references
from saltlick.environment.pillar import Boot, expand_environment, parse_environment
from saltlick.kinds.security_group_rules import Rule

BOOT = Boot(master_finger="ab:cd")
CIDRS = {"prod": "10.10.0.0/16", "test": "10.20.0.0/16"}


def environments(**changes):
    """The reference estate's environments, each changed as said."""
    raw = {name: changed(pillar(name), changes.get(name, {})) for name in ("control", "prod", "test")}
    return {name: parse_environment(tree, environment=name) for name, tree in raw.items()}


def expanded(name="prod", **changes):
    """The resources of one environment by address."""
    parsed = environments(**changes)
    return {resource.key.address: resource for resource in expand_environment(parsed[name], parsed, BOOT)}


def own(address, attribute="id", environment="prod"):
    return Ref(Key(environment, address), attribute)


def test_control_by_name():
    titles = {address: resource.title for address, resource in expanded("control").items()}
    assert titles == cases("reference_estate")["control"]


@pytest.mark.parametrize("name", ["prod", "test"])
def test_prod_and_test_by_name(name):
    def fill(text):
        return text.replace("NAME", name).replace("CIDR", CIDRS[name])

    wanted = {fill(address): fill(title) for address, title in cases("reference_estate")["like_prod"].items()}
    assert {address: resource.title for address, resource in expanded(name).items()} == wanted


def test_every_reference_leads_somewhere_and_never_in_a_circle():
    parsed = environments()
    everything = [resource for declared in parsed.values() for resource in expand_environment(declared, parsed, BOOT)]
    keys = {resource.key for resource in everything}
    assert len(keys) == len(everything)
    for resource in everything:
        assert {ref.key for ref in references(resource.properties)} | resource.after <= keys, resource.key
    ordered(everything)


def test_what_prod_owns_in_controls_table():
    route = expanded()["route/control.public:10.10.0.0/16"]
    assert route.environment == "prod"
    assert route.properties.table == own("route_table/public", environment="control")
    assert route.properties.peering == own("peering/control")


def test_rules_name_groups_by_reference_and_peers_by_network():
    resources = expanded()
    salt = Rule(protocol="tcp", from_port=4505, to_port=4506, source="172.20.0.0/16")
    assert resources["security_group_rules/app"].properties.ingress == (
        Rule(protocol="tcp", from_port=80, to_port=80, source=own("security_group/lb")),
        Rule(protocol="tcp", from_port=8080, to_port=8080, source=own("security_group/app")),
        salt,
    )
    assert salt in resources["security_group_rules/lb"].properties.ingress
    assert salt in resources["security_group_rules/db"].properties.ingress


def test_peers_as_a_source_ping_and_protocols_by_number():
    rules = [{"from": ["peers", "192.0.2.0/24"], "udp": "500-600", "icmp": True, "ip_protocol": [112, 47]}]
    ingress = expanded(prod={"peers": ["control", "test"], "firewall.db": rules})[
        "security_group_rules/db"
    ].properties.ingress
    assert [(rule.source, rule.protocol, rule.from_port, rule.to_port) for rule in ingress] == [
        (source, *opening)
        for source in ("172.20.0.0/16", "10.20.0.0/16", "192.0.2.0/24")
        for opening in (("udp", 500, 600), ("icmp", -1, -1), ("112", -1, -1), ("47", -1, -1))
    ]


def test_a_server_waits_for_its_way_to_the_internet_and_to_the_master():
    assert {key.address for key in expanded()["instance/app-2"].after} == {
        "route_table_association/private-az2",
        "route/private-az2:0.0.0.0/0",
        "route_table_association/public-az2",
        "route/public:0.0.0.0/0",
        "route/private-az2:172.20.0.0/16",
        "route/control.public:10.10.0.0/16",
    }


def test_servers_are_spread_over_the_zones():
    resources = expanded(prod={"servers.app.count": 3})
    assert [resources[f"instance/app-{number}"].properties.subnet for number in (1, 2, 3)] == [
        own("subnet/private-az1"),
        own("subnet/private-az2"),
        own("subnet/private-az1"),
    ]


@pytest.mark.parametrize(
    ("nat", "gateways", "ways"),
    [
        ("per_zone", ["az1", "az2"], ["az1", "az2"]),
        ("one", ["az1"], ["az1", "az1"]),
        ("none", [], []),
    ],
)
def test_nat(nat, gateways, ways):
    resources = expanded(prod={"subnets.private.nat": nat})
    assert [address for address in resources if address.startswith("nat_gateway/")] == [
        f"nat_gateway/{az}" for az in gateways
    ]
    assert [address for address in resources if address.startswith("elastic_ip/")] == [
        f"elastic_ip/nat-{az}" for az in gateways
    ]
    routes = [resources.get(f"route/private-{az}:0.0.0.0/0") for az in ("az1", "az2")]
    assert [route.properties.nat for route in routes if route] == [own(f"nat_gateway/{az}") for az in ways]
    assert {"route_table/private-az1", "route_table/private-az2"} <= set(resources), (
        "tables are there with and without NAT"
    )


def test_a_public_tier_by_another_name():
    resources = expanded(prod={"subnets.edge": {"cidrs": ["10.10.30.0/24", "10.10.31.0/24"], "public": True}})
    assert resources["route/edge:0.0.0.0/0"].properties.gateway == own("internet_gateway/main")
    assert resources["route_table_association/edge-az2"].properties.table == own("route_table/edge")


def test_an_environment_without_public_tier_has_no_gateway():
    resources = expanded(
        prod={"subnets": {"inner": {"cidrs": ["10.10.0.0/24", "10.10.1.0/24"]}}, "servers": {}, "balancers": {}}
    )
    assert not [address for address in resources if address.startswith(("internet_gateway", "nat_gateway"))]


def test_the_master():
    resources = expanded("control")
    master = resources["instance/salt-master"].properties
    assert master.private_ip == "172.20.0.10"
    assert master.profile == own("instance_profile/salt-master", environment="control")
    assert resources["elastic_ip/salt-master"].properties.instance == own("instance/salt-master", environment="control")
    assert '"ec2:RunInstances"' in resources["iam_role/salt-master"].properties.policy
    assert [
        (rule.protocol, rule.from_port, rule.to_port, rule.source)
        for rule in resources["security_group_rules/salt-master"].properties.ingress
    ] == [
        ("tcp", 4505, 4506, "10.10.0.0/16"),
        ("tcp", 4505, 4506, "10.20.0.0/16"),
        ("tcp", 873, 873, "10.10.0.0/16"),
        ("tcp", 873, 873, "10.20.0.0/16"),
        ("tcp", 2379, 2380, "10.10.0.0/16"),
        ("tcp", 2381, 2382, "10.20.0.0/16"),
        ("udp", 51820, 51820, "0.0.0.0/0"),
    ]


def test_like_images_are_looked_up_once():
    special = {"name": "debian-12-amd64-*", "owner": "136693071363"}
    resources = expanded(prod={"servers.app.image": special, "servers.db.image": special})
    assert [address for address in resources if address.startswith("image/")] == ["image/db"]
    assert resources["instance/app-1"].properties.image == own("image/db")
    assert resources["instance/app-1"].properties.root_device == own("image/db", "root_device")


def test_key_pairs_of_our_own_and_of_others():
    resources = expanded(
        prod={"key_pairs": {"ops": "ssh-ed25519 AAAA"}, "servers.app.key_pair": "ops", "servers.db.key_pair": "old"}
    )
    assert resources["instance/app-1"].properties.key_pair == own("key_pair/ops", "name")
    assert resources["instance/db-1"].properties.key_pair == "old"


def test_policy_of_a_group():
    policy = {"Version": "2012-10-17", "Statement": []}
    resources = expanded(prod={"servers.app.iam_policy": policy})
    assert resources["iam_role/app"].properties.role_name == "prod-app"
    assert resources["instance/app-1"].properties.profile == own("instance_profile/app")
    assert resources["instance/db-1"].properties.profile is None


def test_tags_and_protection():
    resources = expanded(prod={"tags": {"team": "web", "cost": 7}, "servers.db.protected": True})
    assert resources["subnet/public-az1"].all_tags() == {
        "team": "web",
        "cost": "7",
        "Name": "prod-public-az1-subnet",
        "saltlick:environment": "prod",
        "saltlick:address": "subnet/public-az1",
    }
    assert resources["instance/db-1"].protected
    assert not resources["instance/app-1"].protected


def test_long_form_adds():
    entry = {
        "kind": "security_group_rules",
        "name": "extra",
        "tags": {"why": "legacy"},
        "after": ["vpc/main"],
        "properties": {
            "group": {"ref": "security_group/lb"},
            "ingress": [
                {
                    "protocol": "tcp",
                    "from_port": 25,
                    "to_port": 25,
                    "source": {"ref": "vpc/main", "environment": "control"},
                }
            ],
        },
    }
    made = expanded(prod={"resources": [entry]})["security_group_rules/extra"]
    source = own("vpc/main", environment="control")
    assert made.properties.group == own("security_group/lb")
    assert made.properties.ingress == (Rule(protocol="tcp", from_port=25, to_port=25, source=source),)
    assert made.title == "prod-extra"
    assert made.tags == {"why": "legacy"}
    assert made.after == {Key("prod", "vpc/main")}


def test_long_form_joins_texts():
    entry = {"kind": "iam_role", "name": "r", "properties": {"role_name": "r", "policy": "{}"}}
    profile = {
        "kind": "instance_profile",
        "name": "r",
        "properties": {"profile_name": "r", "role": {"join": ["x-", {"ref": "iam_role/r"}]}},
    }
    made = expanded(prod={"resources": [entry, profile]})["instance_profile/r"]
    assert made.properties.role == Join(("x-", own("iam_role/r")))


def test_long_form_overrides_what_it_names_and_leaves_the_rest():
    entry = {"kind": "vpc", "name": "main", "override": True, "properties": {"dns_hostnames": True}, "protected": True}
    made = expanded(prod={"resources": [entry]})["vpc/main"]
    assert (made.properties.cidr, made.properties.dns_hostnames) == ("10.10.0.0/16", True)
    assert made.title == "prod-vpc"
    assert made.protected
