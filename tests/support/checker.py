"""An independent checker of the reference estate: plain boto3, the published picture by heart, nothing of Saltlick.

`problems()` looks at everything in the account and returns one line per thing that is missing, there twice, wrong, or
there although nobody declared it. An exact estate gives an empty list. `leftovers()` returns what of ours still exists.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from typing import Any

import boto3

WORLD = "0.0.0.0/0"
CONTROL, PROD, TEST = "172.20.0.0/16", "10.10.0.0/16", "10.20.0.0/16"
CIDRS = {"control": CONTROL, "prod": PROD, "test": TEST}
DB_ADDRESSES = {"prod": ("10.10.10.20", "10.10.11.20"), "test": ("10.20.10.20", "10.20.11.20")}
ZONES = ("us-east-1a", "us-east-1b")
ETCD = {"prod": (2379, 2380), "test": (2381, 2382)}
PEERED = ("prod", "test")
LAYERS = ("public", "private")
GONE = {"terminated", "shutting-down", "deleted", "deleting", "rejected", "failed", "expired"}


def problems(environments: tuple[str, ...] = ("control", "prod", "test")) -> list[str]:
    """What differs between the account and the reference estate of these environments."""
    return Checker(environments).run()


def leftovers() -> list[str]:
    """What carries our tag and has not been deleted, as `service name (id)`."""
    account = Account()
    found = [f"{kind} {name(item)} ({item['_id']})" for kind, items in account.items.items() for item in items]
    return sorted(found)


def tags_of(item: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags") or item.get("TagSet") or ()}


def name(item: dict[str, Any]) -> str:
    return tags_of(item).get("Name", "")


class Account:
    """Everything in the region that is alive, leaving out what AWS itself makes (default VPC, main tables, …)."""

    def __init__(self) -> None:
        self.ec2, self.elb, self.iam = boto3.client("ec2"), boto3.client("elbv2"), boto3.client("iam")
        self.items: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.own = {vpc["VpcId"] for vpc in self.pages("describe_vpcs", "Vpcs") if not vpc.get("IsDefault")}
        self.load()

    def pages(self, operation: str, key: str, client: Any = None) -> list[dict[str, Any]]:
        pages = (client or self.ec2).get_paginator(operation).paginate()
        return [item for page in pages for item in page[key]]

    def load(self) -> None:
        self.keep("vpc", "VpcId", [v for v in self.pages("describe_vpcs", "Vpcs") if v["VpcId"] in self.own])
        self.keep("igw", "InternetGatewayId", self.pages("describe_internet_gateways", "InternetGateways"))
        self.keep("subnet", "SubnetId", self.inside(self.pages("describe_subnets", "Subnets")))
        tables = self.inside(self.pages("describe_route_tables", "RouteTables"))
        self.keep("rtb", "RouteTableId", [t for t in tables if not any(a.get("Main") for a in t["Associations"])])
        self.keep("eip", "AllocationId", self.ec2.describe_addresses()["Addresses"])
        self.keep("nat", "NatGatewayId", self.alive(self.pages("describe_nat_gateways", "NatGateways")))
        peerings = self.pages("describe_vpc_peering_connections", "VpcPeeringConnections")
        self.keep("peering", "VpcPeeringConnectionId", [p for p in peerings if p["Status"]["Code"] not in GONE])
        groups = self.inside(self.pages("describe_security_groups", "SecurityGroups"))
        self.keep("sg", "GroupId", [g for g in groups if g["GroupName"] != "default"])
        servers = [i for r in self.pages("describe_instances", "Reservations") for i in r["Instances"]]
        self.keep("instance", "InstanceId", [i for i in servers if i["State"]["Name"] not in GONE])
        self.keep("volume", "VolumeId", self.pages("describe_volumes", "Volumes"))
        self.keep("key_pair", "KeyPairId", self.ec2.describe_key_pairs()["KeyPairs"])
        self.load_balancers()
        self.load_iam()

    def load_balancers(self) -> None:
        self.keep("alb", "LoadBalancerArn", self.pages("describe_load_balancers", "LoadBalancers", self.elb))
        self.keep("tg", "TargetGroupArn", self.pages("describe_target_groups", "TargetGroups", self.elb))
        for kind in ("alb", "tg"):
            for item in self.items[kind]:
                described = self.elb.describe_tags(ResourceArns=[item["_id"]])["TagDescriptions"]
                item["Tags"] = described[0]["Tags"]

    def load_iam(self) -> None:
        self.keep("role", "RoleName", self.pages("list_roles", "Roles", self.iam))
        self.keep("profile", "InstanceProfileName", self.pages("list_instance_profiles", "InstanceProfiles", self.iam))
        for role in self.items["role"]:
            role["Tags"] = self.iam.list_role_tags(RoleName=role["RoleName"])["Tags"]
        for profile in self.items["profile"]:
            answer = self.iam.get_instance_profile(InstanceProfileName=profile["InstanceProfileName"])
            profile["Tags"] = answer["InstanceProfile"].get("Tags", [])

    def keep(self, kind: str, identity: str, items: list[dict[str, Any]]) -> None:
        self.items[kind] = [item | {"_id": item[identity]} for item in items]

    def inside(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [item for item in items if item["VpcId"] in self.own]

    @staticmethod
    def alive(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [item for item in items if item["State"] not in GONE]


class Checker:
    """Walks the picture; each `check_*` says what it expects of one part of it."""

    def __init__(self, environments: tuple[str, ...]) -> None:
        self.environments = environments
        self.peered = tuple(e for e in PEERED if e in environments)
        self.account = Account()
        self.found: list[str] = []
        self.claimed: set[tuple[str, str]] = set()

    def run(self) -> list[str]:
        for environment in self.environments:
            self.check_network(environment)
            self.check_groups(environment)
        for environment in self.peered:
            self.check_peering(environment)
            self.check_servers(environment)
            self.check_balancer(environment)
        if "control" in self.environments:
            self.check_master()
        self.check_routes()
        self.check_nothing_else()
        return self.found

    # finding

    def wrong(self, message: str) -> None:
        self.found.append(message)

    def the(self, kind: str, title: str, environment: str, address: str) -> dict[str, Any] | None:
        """The one object of that kind, name and environment, its tags checked; None and a problem otherwise."""
        matches = [
            item
            for item in self.account.items[kind]
            if name(item) == title and tags_of(item).get("saltlick:environment") == environment
        ]
        if len(matches) != 1:
            self.wrong(f"{kind} {title} of {environment}: found {len(matches)}, expected 1")
        self.claimed.update((kind, item["_id"]) for item in matches)
        for item in matches:
            self.same(f"{kind} {title} of {environment}: address tag", tags_of(item).get("saltlick:address"), address)
        return matches[0] if matches else None

    def same(self, what: str, actual: Any, expected: Any) -> None:
        if actual != expected:
            self.wrong(f"{what}: is {actual!r}, expected {expected!r}")

    def id_of(self, kind: str, title: str, environment: str) -> str | None:
        for item in self.account.items[kind]:
            if name(item) == title and tags_of(item).get("saltlick:environment") == environment:
                return str(item["_id"])
        return None

    def vpc_of(self, environment: str) -> str | None:
        return self.id_of("vpc", f"{environment}-vpc", environment)

    # parts

    def check_network(self, environment: str) -> None:
        vpc = self.the("vpc", f"{environment}-vpc", environment, "vpc/main")
        if vpc:
            self.same(f"{environment}-vpc: cidr", vpc["CidrBlock"], CIDRS[environment])
        gateway = self.the("igw", f"{environment}-igw", environment, "internet_gateway/main")
        if gateway:
            attached = [x["VpcId"] for x in gateway["Attachments"]]
            self.same(f"{environment}-igw: attached to", attached, [self.vpc_of(environment)])
        for layer, number in self.subnets(environment):
            self.check_subnet(environment, layer, number)
        self.check_tables(environment)
        if environment != "control":
            for number in (1, 2):
                self.check_nat(environment, number)

    @staticmethod
    def subnets(environment: str) -> list[tuple[str, int]]:
        if environment == "control":
            return [("public", 1)]
        return [(layer, number) for layer in LAYERS for number in (1, 2)]

    def check_subnet(self, environment: str, layer: str, number: int) -> None:
        title = f"{environment}-{layer}-az{number}-subnet"
        subnet = self.the("subnet", title, environment, f"subnet/{layer}-az{number}")
        if not subnet:
            return
        self.same(f"{title}: vpc", subnet["VpcId"], self.vpc_of(environment))
        self.same(f"{title}: zone", subnet["AvailabilityZone"], ZONES[number - 1])
        if environment == "control":
            self.same(f"{title}: cidr", subnet["CidrBlock"], "172.20.0.0/24")
        elif not subnet["CidrBlock"].endswith(".0/24"):
            self.wrong(f"{title}: cidr {subnet['CidrBlock']} is not a /24")

    def tables(self, environment: str) -> dict[str, set[str]]:
        """Names of the tables and of the subnets each is for."""
        if environment == "control":
            return {"public": {"public-az1"}}
        private = {f"private-az{number}": {f"private-az{number}"} for number in (1, 2)}
        return {"public": {"public-az1", "public-az2"}} | private

    def check_tables(self, environment: str) -> None:
        for table_name, subnets in self.tables(environment).items():
            title = f"{environment}-{table_name}-rtb"
            table = self.the("rtb", title, environment, f"route_table/{table_name}")
            if not table:
                continue
            self.same(f"{title}: vpc", table["VpcId"], self.vpc_of(environment))
            linked = sorted(a.get("SubnetId", "") for a in table["Associations"])
            wanted = sorted(self.id_of("subnet", f"{environment}-{s}-subnet", environment) or "?" for s in subnets)
            self.same(f"{title}: subnets", linked, wanted)

    def check_nat(self, environment: str, number: int) -> None:
        title = f"{environment}-az{number}-nat"
        self.the("eip", f"{environment}-nat-az{number}-eip", environment, f"elastic_ip/nat-az{number}")
        nat = self.the("nat", title, environment, f"nat_gateway/az{number}")
        if not nat:
            return
        subnet = self.id_of("subnet", f"{environment}-public-az{number}-subnet", environment)
        self.same(f"{title}: subnet", nat["SubnetId"], subnet)
        self.same(f"{title}: state", nat["State"], "available")
        addresses = [x["AllocationId"] for x in nat["NatGatewayAddresses"]]
        address = self.id_of("eip", f"{environment}-nat-az{number}-eip", environment)
        self.same(f"{title}: address", addresses, [address])

    def check_peering(self, environment: str) -> None:
        title = f"{environment}-control-peering"
        peering = self.the("peering", title, environment, "peering/control")
        if not peering:
            return
        self.same(f"{title}: status", peering["Status"]["Code"], "active")
        sides = {peering["RequesterVpcInfo"]["VpcId"], peering["AccepterVpcInfo"]["VpcId"]}
        self.same(f"{title}: sides", sides, {self.vpc_of(environment), self.vpc_of("control")})

    def check_routes(self) -> None:
        """Every table has exactly the routes of the picture: none missing, none twice, none more."""
        for environment in self.environments:
            for table_name in self.tables(environment):
                title = f"{environment}-{table_name}-rtb"
                for table in self.account.items["rtb"]:
                    if name(table) == title and tags_of(table).get("saltlick:environment") == environment:
                        self.same(f"{title}: routes", routes_of(table), self.routes(environment, table_name))

    def routes(self, environment: str, table: str) -> dict[str, str | None]:
        if table == "public":
            wanted = {WORLD: self.id_of("igw", f"{environment}-igw", environment)}
        else:
            wanted = {WORLD: self.id_of("nat", f"{environment}-{table.partition('-')[2]}-nat", environment)}
        if environment == "control":
            return wanted | {CIDRS[e]: self.id_of("peering", f"{e}-control-peering", e) for e in self.peered}
        return wanted | {CONTROL: self.id_of("peering", f"{environment}-control-peering", environment)}

    def check_groups(self, environment: str) -> None:
        for group_name in ("salt-master",) if environment == "control" else ("lb", "app", "db"):
            group = self.the("sg", group_name, environment, f"security_group/{group_name}")
            if not group:
                continue
            self.same(f"{environment} {group_name}: group name", group["GroupName"], group_name)
            self.same(f"{environment} {group_name}: vpc", group["VpcId"], self.vpc_of(environment))
            self.check_rules(environment, group_name, Counter(rules_of(group)))

    def check_rules(self, environment: str, group: str, actual: Counter[tuple[str, int, int, str]]) -> None:
        """Exactly the picture's rules; those of the control network may name any ports, but must name some."""
        wanted = Counter(self.rules(environment, group))
        if environment != "control":
            salt = [rule for rule in actual if rule[3] == CONTROL]
            if not salt:
                self.wrong(f"{environment} {group}: not open to the control network")
            if any(rule[0] == "-1" for rule in salt):
                self.wrong(f"{environment} {group}: open to the control network for more than Salt's needs")
            wanted.update(salt)
        self.same(f"{environment} {group}: rules", sorted(actual.elements()), sorted(wanted.elements()))

    def rules(self, environment: str, group: str) -> list[tuple[str, int, int, str]]:
        lb, app, db = (self.id_of("sg", other, environment) or "?" for other in ("lb", "app", "db"))
        return {
            "salt-master": [
                *(
                    ("tcp", first, last, CIDRS[peer])
                    for peer in PEERED
                    for first, last in ((4505, 4506), (873, 873), ETCD[peer])
                ),
                ("udp", 51820, 51820, WORLD),
            ],
            "lb": [("tcp", 80, 80, WORLD), ("tcp", 443, 443, WORLD)],
            "app": [("tcp", 80, 80, lb), ("tcp", 8080, 8080, app)],
            "db": [
                *(("tcp", port, port, app) for port in (5432, 8100)),
                *(("tcp", port, port, db) for port in (873, 5432, 8008)),
                ("tcp", *ETCD.get(environment, (0, 0)), db),
                ("112", -1, -1, db),
            ],
        }[group]

    def check_servers(self, environment: str) -> None:
        for group in ("app", "db"):
            for number in (1, 2):
                subnet = f"{environment}-private-az{number}-subnet"
                title = f"{environment}-{group}-{number}"
                server = self.check_server(title, environment, f"{group}-{number}", subnet, group)
                if server and group == "db":
                    self.same(f"{title}: address", server["PrivateIpAddress"], DB_ADDRESSES[environment][number - 1])

    def check_server(
        self, title: str, environment: str, address: str, subnet: str, group: str
    ) -> dict[str, Any] | None:
        server = self.the("instance", title, environment, f"instance/{address}")
        if not server:
            return None
        self.same(f"{title}: state", server["State"]["Name"], "running")
        self.same(f"{title}: type", server["InstanceType"], "t3.small")
        self.same(f"{title}: subnet", server["SubnetId"], self.id_of("subnet", subnet, environment))
        interfaces = [g["GroupId"] for i in server["NetworkInterfaces"] for g in i["Groups"]]
        groups = {g["GroupId"] for g in server["SecurityGroups"]} | set(interfaces)
        self.same(f"{title}: security groups", groups, {self.id_of("sg", group, environment)})
        options = server.get("MetadataOptions", {})
        self.same(f"{title}: IMDSv2", options.get("HttpTokens"), "required")
        self.same(f"{title}: hop limit", options.get("HttpPutResponseHopLimit"), 1)
        self.check_volumes(title, server)
        return server

    def check_volumes(self, title: str, server: dict[str, Any]) -> None:
        mine = [v for v in self.account.items["volume"] for a in v["Attachments"] if a["InstanceId"] == server["_id"]]
        self.claimed.update(("volume", v["_id"]) for v in mine)
        self.same(f"{title}: volumes encrypted", [v["Encrypted"] for v in mine], [True])

    def check_balancer(self, environment: str) -> None:
        title = f"{environment}-www"
        balancer = self.the("alb", title, environment, "load_balancer/www")
        group = self.the("tg", title, environment, "target_group/www")
        if balancer:
            zones = {zone["SubnetId"] for zone in balancer["AvailabilityZones"]}
            public = {self.id_of("subnet", f"{environment}-public-az{n}-subnet", environment) for n in (1, 2)}
            self.same(f"{title}: subnets", zones, public)
            self.same(f"{title}: type", balancer["Type"], "application")
            self.same(f"{title}: scheme", balancer["Scheme"], "internet-facing")
            self.same(f"{title}: firewall", balancer["SecurityGroups"], [self.id_of("sg", "lb", environment)])
        if group:
            self.check_targets(environment, group)
        if balancer and group:
            self.check_listener(title, balancer, group)

    def check_targets(self, environment: str, group: dict[str, Any]) -> None:
        title = f"{environment}-www"
        self.same(f"{title}: protocol and port", (group["Protocol"], group["Port"]), ("HTTP", 80))
        if not (group.get("HealthCheckPath") or "").startswith("/"):
            self.wrong(f"{title}: no health path")
        health = self.account.elb.describe_target_health(TargetGroupArn=group["_id"])
        targets = sorted((x["Target"]["Id"], x["Target"]["Port"]) for x in health["TargetHealthDescriptions"])
        servers = (self.id_of("instance", f"{environment}-app-{n}", environment) or "?" for n in (1, 2))
        self.same(f"{title}: targets", targets, sorted((server, 80) for server in servers))

    def check_listener(self, title: str, balancer: dict[str, Any], group: dict[str, Any]) -> None:
        listeners = self.account.elb.describe_listeners(LoadBalancerArn=balancer["_id"])["Listeners"]
        self.same(f"{title}: listeners", [(x["Protocol"], x["Port"]) for x in listeners], [("HTTP", 80)])
        for listener in listeners:
            forwards = [action.get("TargetGroupArn") for action in listener["DefaultActions"]]
            self.same(f"{title}: forwards to", forwards, [group["_id"]])

    def check_master(self) -> None:
        subnet = "control-public-az1-subnet"
        server = self.check_server("salt-master", "control", "salt-master", subnet, "salt-master")
        if server:
            self.same("salt-master: address", server["PrivateIpAddress"], "172.20.0.10")
        address = self.the("eip", "salt-master-eip", "control", "elastic_ip/salt-master")
        if address:
            self.same("salt-master-eip: on", address.get("InstanceId"), server and server["_id"])
        for kind, word in (("role", "iam_role"), ("profile", "instance_profile")):
            self.the(kind, "salt-master", "control", f"{word}/salt-master")

    def check_nothing_else(self) -> None:
        """Whatever is alive in the account and was not asked for is an orphan or a duplicate."""
        for kind, items in self.account.items.items():
            for item in items:
                if (kind, item["_id"]) not in self.claimed:
                    self.wrong(f"{kind} {name(item) or '(no name)'} ({item['_id']}): nobody declared it")


def routes_of(table: dict[str, Any]) -> dict[str, str]:
    """Destination to target of a table's routes, the VPC's own left out."""
    targets = ("GatewayId", "NatGatewayId", "VpcPeeringConnectionId", "InstanceId", "NetworkInterfaceId")
    routes = {}
    for route in table["Routes"]:
        target = next((route[key] for key in targets if route.get(key)), "?")
        if target != "local":
            routes[route["DestinationCidrBlock"]] = target
    return routes


def rules_of(group: dict[str, Any]) -> list[tuple[str, int, int, str]]:
    """(protocol, first port, last port, source) of every ingress rule."""
    rules = []
    for permission in group["IpPermissions"]:
        ports = (permission["IpProtocol"], permission.get("FromPort", -1), permission.get("ToPort", -1))
        rules += [(*ports, source["CidrIp"]) for source in permission["IpRanges"]]
        rules += [(*ports, source["GroupId"]) for source in permission["UserIdGroupPairs"]]
    return rules


if __name__ == "__main__":
    found = leftovers() if sys.argv[1:] == ["leftovers"] else problems()
    print("\n".join(found) or "as it should be")  # noqa: T201
    raise SystemExit(bool(found))
