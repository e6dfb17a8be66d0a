"""The practical limit: the reference estate by hand-optimised boto3 threads, with as few calls as it can.

    python -m bench.practical_limit create | recheck | destroy

Knows the estate by heart, keeps no state, handles no error, and waits for no more than the end of the instances: the
yardstick, not a tool.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
ZONES = ("us-east-1a", "us-east-1b")
CIDRS = {"control": "172.20.0.0/16", "prod": "10.10.0.0/16", "test": "10.20.0.0/16"}
WORLD = "0.0.0.0/0"
PEERS = ("prod", "test")
ETCD = {"prod": (2379, 2380), "test": (2381, 2382)}
ASSUME = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]})

Step = Callable[..., Any]


class Flow:
    """Runs each step in a thread the moment the steps it names are done; a step gets their results."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(max_workers=200)
        self.futures: list[Future[Any]] = []

    def start(self, step: Step, *needs: Future[Any]) -> Future[Any]:
        future = self.pool.submit(lambda: step(*(need.result() for need in needs)))
        self.futures.append(future)
        return future

    def finish(self) -> None:
        for future in self.futures:
            future.result()


class Clients:
    """One client per service; the models load in parallel with nothing, so only once."""

    def __init__(self) -> None:
        config = Config(max_pool_connections=200, retries={"total_max_attempts": 1})
        session = boto3.Session()
        self.ec2 = session.client("ec2", config=config)
        self.elb = session.client("elbv2", config=config)
        self.iam = session.client("iam", config=config)
        self.ssm = session.client("ssm", config=config)


def tags(environment: str, address: str, title: str) -> list[dict[str, str]]:
    return [
        {"Key": "Name", "Value": title},
        {"Key": "saltlick:environment", "Value": environment},
        {"Key": "saltlick:address", "Value": address},
    ]


def tagged(kind: str, environment: str, address: str, title: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags(environment, address, title)}]


class Build:
    """Creates everything; attributes are futures of ids."""

    def __init__(self, clients: Clients) -> None:
        self.ec2, self.elb, self.iam, self.ssm = clients.ec2, clients.elb, clients.iam, clients.ssm
        self.flow = Flow()
        self.vpcs: dict[str, Future[str]] = {}
        self.tables: dict[tuple[str, str], Future[str]] = {}
        self.subnets: dict[tuple[str, str], Future[str]] = {}
        self.groups: dict[tuple[str, str], Future[str]] = {}

    def all(self) -> None:
        start = self.flow.start
        self.image = start(lambda: self.ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"])
        profile = self.profile()
        for environment in CIDRS:
            self.vpcs[environment] = start(lambda e=environment: self.vpc(e))
        for environment in CIDRS:
            self.network(environment)
            self.firewall(environment)
        for environment in PEERS:
            self.peering(environment)
            self.servers(environment)
        self.master(profile)
        self.flow.finish()

    # network

    def vpc(self, environment: str) -> str:
        vpc = self.ec2.create_vpc(
            CidrBlock=CIDRS[environment],
            TagSpecifications=tagged("vpc", environment, "vpc/main", f"{environment}-vpc"),
        )["Vpc"]["VpcId"]
        return str(vpc)

    def network(self, environment: str) -> None:
        start, vpc = self.flow.start, self.vpcs[environment]
        start(lambda v: self.ec2.modify_vpc_attribute(VpcId=v, EnableDnsHostnames={"Value": True}), vpc)
        gateway = start(lambda: self.gateway(environment))
        attached = start(lambda g, v: self.ec2.attach_internet_gateway(InternetGatewayId=g, VpcId=v), gateway, vpc)
        self.table(environment, "public")
        start(
            lambda t, g, _: self.ec2.create_route(RouteTableId=t, DestinationCidrBlock=WORLD, GatewayId=g),
            self.tables[environment, "public"],
            gateway,
            attached,
        )
        count = 1 if environment == "control" else 2
        for number in range(1, count + 1):
            self.subnet(environment, "public", number)
        if environment != "control":
            for number in range(1, count + 1):
                self.private(environment, number)

    def gateway(self, environment: str) -> str:
        specification = tagged("internet-gateway", environment, "internet_gateway/main", f"{environment}-igw")
        gateway = self.ec2.create_internet_gateway(TagSpecifications=specification)
        return str(gateway["InternetGateway"]["InternetGatewayId"])

    def table(self, environment: str, name: str) -> None:
        specification = tagged("route-table", environment, f"route_table/{name}", f"{environment}-{name}-rtb")
        self.tables[environment, name] = self.flow.start(
            lambda v: self.ec2.create_route_table(VpcId=v, TagSpecifications=specification)["RouteTable"][
                "RouteTableId"
            ],
            self.vpcs[environment],
        )

    def subnet(self, environment: str, layer: str, number: int) -> None:
        name = f"{layer}-az{number}"
        third = number - 1 + (10 if layer == "private" else 0)
        cidr = f"{CIDRS[environment].rsplit('.', 2)[0]}.{third}.0/24"
        specification = tagged("subnet", environment, f"subnet/{name}", f"{environment}-{name}-subnet")
        subnet = self.flow.start(
            lambda v: self.ec2.create_subnet(
                VpcId=v,
                CidrBlock=cidr,
                AvailabilityZone=ZONES[number - 1],
                TagSpecifications=specification,
            )["Subnet"]["SubnetId"],
            self.vpcs[environment],
        )
        self.subnets[environment, name] = subnet
        table = self.tables[environment, "public" if layer == "public" else name]
        self.flow.start(lambda s, t: self.ec2.associate_route_table(SubnetId=s, RouteTableId=t), subnet, table)

    def private(self, environment: str, number: int) -> None:
        name = f"private-az{number}"
        self.table(environment, name)
        self.subnet(environment, "private", number)
        address = self.flow.start(lambda: self.address(environment, f"nat-az{number}"))
        nat = self.flow.start(
            lambda s, a: self.ec2.create_nat_gateway(
                SubnetId=s,
                AllocationId=a,
                TagSpecifications=tagged(
                    "natgateway", environment, f"nat_gateway/az{number}", f"{environment}-az{number}-nat"
                ),
            )["NatGateway"]["NatGatewayId"],
            self.subnets[environment, f"public-az{number}"],
            address,
        )
        self.flow.start(
            lambda t, n: self.ec2.create_route(RouteTableId=t, DestinationCidrBlock=WORLD, NatGatewayId=n),
            self.tables[environment, name],
            nat,
        )

    def address(self, environment: str, name: str) -> str:
        title = f"{name}-eip" if environment == "control" else f"{environment}-{name}-eip"
        specification = tagged("elastic-ip", environment, f"elastic_ip/{name}", title)
        allocation = self.ec2.allocate_address(Domain="vpc", TagSpecifications=specification)
        return str(allocation["AllocationId"])

    def peering(self, environment: str) -> None:
        requested = self.flow.start(
            lambda v, p: self.ec2.create_vpc_peering_connection(
                VpcId=v,
                PeerVpcId=p,
                TagSpecifications=tagged(
                    "vpc-peering-connection", environment, "peering/control", f"{environment}-control-peering"
                ),
            )["VpcPeeringConnection"]["VpcPeeringConnectionId"],
            self.vpcs[environment],
            self.vpcs["control"],
        )
        accepted = self.flow.start(self.accept, requested)
        for name in ("public", "private-az1", "private-az2"):
            self.peer_route(self.tables[environment, name], CIDRS["control"], accepted)
        self.peer_route(self.tables["control", "public"], CIDRS[environment], accepted)

    def accept(self, peering: str) -> str:
        self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        return peering

    def peer_route(self, table: Future[str], cidr: str, accepted: Future[str]) -> None:
        self.flow.start(
            lambda t, p: self.ec2.create_route(RouteTableId=t, DestinationCidrBlock=cidr, VpcPeeringConnectionId=p),
            table,
            accepted,
        )

    # firewall

    def firewall(self, environment: str) -> None:
        names = ("salt-master",) if environment == "control" else ("lb", "app", "db")
        for name in names:
            self.groups[environment, name] = self.flow.start(
                lambda v, n=name: self.ec2.create_security_group(
                    VpcId=v,
                    GroupName=n,
                    Description=f"{environment} {n}",
                    TagSpecifications=tagged("security-group", environment, f"security_group/{n}", n),
                )["GroupId"],
                self.vpcs[environment],
            )
        groups = tuple(self.groups[environment, name] for name in names)
        for name in names:
            self.flow.start(
                lambda *ids, n=name: self.authorize(environment, n, dict(zip(names, ids, strict=True))), *groups
            )

    def authorize(self, environment: str, name: str, groups: dict[str, str]) -> None:
        rules = {
            "salt-master": [
                *(
                    rule("tcp", first, last, cidr=CIDRS[peer])
                    for peer in PEERS
                    for first, last in ((4505, 4506), (873, 873), ETCD[peer])
                ),
                rule("udp", 51820, cidr=WORLD),
            ],
            "lb": [rule("tcp", 80, cidr=WORLD), rule("tcp", 443, cidr=WORLD)],
            "app": [
                rule("tcp", 80, group=groups.get("lb", "")),
                rule("tcp", 8080, group=groups.get("app", "")),
            ],
            "db": [
                *(rule("tcp", port, group=groups.get("app", "")) for port in (5432, 8100)),
                *(rule("tcp", port, group=groups.get("db", "")) for port in (873, 5432, 8008)),
                *(rule("tcp", *ports, group=groups.get("db", "")) for ports in [ETCD.get(environment)] if ports),
                rule("112", -1, group=groups.get("db", "")),
            ],
        }[name]
        if environment != "control":
            rules.append(rule("tcp", 4505, 4506, cidr=CIDRS["control"]))
            if name == "db":
                rules.append(rule("tcp", *ETCD[environment], cidr=CIDRS["control"]))
        self.ec2.authorize_security_group_ingress(GroupId=groups[name], IpPermissions=rules)

    # servers and balancer

    def servers(self, environment: str) -> None:
        targets = [self.server(environment, "app", number) for number in (1, 2)]
        for number in (1, 2):
            self.server(environment, "db", number)
        group = self.flow.start(lambda v: self.target_group(environment, v), self.vpcs[environment])
        self.flow.start(
            lambda arn, *ids: self.elb.register_targets(
                TargetGroupArn=arn, Targets=[{"Id": identity, "Port": 80} for identity in ids]
            ),
            group,
            *targets,
        )
        balancer = self.flow.start(
            lambda one, two, firewall: self.balancer(environment, [one, two], firewall),
            self.subnets[environment, "public-az1"],
            self.subnets[environment, "public-az2"],
            self.groups[environment, "lb"],
        )
        self.flow.start(lambda b, g: self.listener(environment, b, g), balancer, group)

    def server(self, environment: str, group: str, number: int) -> Future[str]:
        name = f"{environment}-{group}-{number}"
        fixed = {"PrivateIpAddress": f"{CIDRS[environment].rsplit('.', 2)[0]}.{number + 9}.20"} if group == "db" else {}
        return self.flow.start(
            lambda image, subnet, firewall: self.run(
                environment, f"{group}-{number}", name, image, subnet, firewall, **fixed
            ),
            self.image,
            self.subnets[environment, f"private-az{number}"],
            self.groups[environment, group],
        )

    def run(
        self, environment: str, address: str, title: str, image: str, subnet: str, firewall: str, **options: Any
    ) -> str:
        return str(
            self.ec2.run_instances(
                ImageId=image,
                InstanceType="t3.small",
                MinCount=1,
                MaxCount=1,
                SubnetId=subnet,
                SecurityGroupIds=[firewall],
                MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
                BlockDeviceMappings=[
                    {
                        "DeviceName": "/dev/xvda",
                        "Ebs": {"Encrypted": True, "VolumeSize": 8, "DeleteOnTermination": True},
                    }
                ],
                TagSpecifications=[
                    *tagged("instance", environment, f"instance/{address}", title),
                    *tagged("volume", environment, f"instance/{address}", title),
                ],
                UserData="#!/bin/sh\n",
                **options,
            )["Instances"][0]["InstanceId"]
        )

    def target_group(self, environment: str, vpc: str) -> str:
        return str(
            self.elb.create_target_group(
                Name=f"{environment}-www",
                Protocol="HTTP",
                Port=80,
                VpcId=vpc,
                HealthCheckPath="/health",
                Tags=tags(environment, "target_group/www", f"{environment}-www"),
            )["TargetGroups"][0]["TargetGroupArn"]
        )

    def balancer(self, environment: str, subnets: list[str], firewall: str) -> str:
        return str(
            self.elb.create_load_balancer(
                Name=f"{environment}-www",
                Subnets=subnets,
                SecurityGroups=[firewall],
                Scheme="internet-facing",
                Tags=tags(environment, "load_balancer/www", f"{environment}-www"),
            )["LoadBalancers"][0]["LoadBalancerArn"]
        )

    def listener(self, environment: str, balancer: str, group: str) -> None:
        self.elb.create_listener(
            LoadBalancerArn=balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
            Tags=tags(environment, "listener/www:80", f"{environment}-www"),
        )

    # the master

    def profile(self) -> Future[str]:
        name = "salt-master"
        role = self.flow.start(
            lambda: self.iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=ASSUME,
                Tags=tags("control", "iam_role/salt-master", "salt-master"),
            )
        )
        profile = self.flow.start(
            lambda: self.iam.create_instance_profile(
                InstanceProfileName=name, Tags=tags("control", "instance_profile/salt-master", "salt-master")
            )
        )
        self.flow.start(
            lambda _: self.iam.put_role_policy(RoleName=name, PolicyName="saltlick", PolicyDocument=POLICY), role
        )
        return self.flow.start(
            lambda *_: self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name),
            role,
            profile,
        )

    def master(self, profile: Future[str]) -> None:
        address = self.flow.start(lambda: self.address("control", "salt-master"))
        server = self.flow.start(
            lambda image, subnet, firewall, _: self.run(
                "control",
                "salt-master",
                "salt-master",
                image,
                subnet,
                firewall,
                IamInstanceProfile={"Name": "salt-master"},
                PrivateIpAddress="172.20.0.10",
            ),
            self.image,
            self.subnets["control", "public-az1"],
            self.groups["control", "salt-master"],
            profile,
        )
        self.flow.start(lambda a, i: self.ec2.associate_address(AllocationId=a, InstanceId=i), address, server)


def rule(protocol: str, first: int, last: int | None = None, *, cidr: str = "", group: str = "") -> dict[str, Any]:
    source = {"IpRanges": [{"CidrIp": cidr}]} if cidr else {"UserIdGroupPairs": [{"GroupId": group}]}
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": first if last is None else last, **source}


OURS = [{"Name": "tag:saltlick:environment", "Values": list(CIDRS)}]


class Look:
    """Reads the whole estate: each list once, all at once, and what hangs on its members."""

    def __init__(self, clients: Clients) -> None:
        self.ec2, self.elb, self.iam, self.ssm = clients.ec2, clients.elb, clients.iam, clients.ssm
        self.flow = Flow()
        self.resources: dict[str, list[Any]] = {}
        self.lock = threading.Lock()

    def all(self, *, deep: bool) -> dict[str, list[Any]]:
        """`deep`: attributes, listeners, target health, tags and IAM too, as a re-check must."""
        start = self.flow.start
        for name, read in self.lists():
            start(lambda n=name, r=read: self.keep(n, r()))
        balancers = start(
            lambda: self.keep(
                "balancers",
                self.elb.describe_load_balancers(Names=[f"{e}-www" for e in PEERS])["LoadBalancers"],
            )
        )
        groups = start(
            lambda: self.keep(
                "target_groups", self.elb.describe_target_groups(Names=[f"{e}-www" for e in PEERS])["TargetGroups"]
            )
        )
        if deep:
            self.deeper(balancers, groups)
        self.flow.finish()
        return self.resources

    def lists(self) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
        ec2 = self.ec2
        yield "vpcs", lambda: ec2.describe_vpcs(Filters=OURS)["Vpcs"]
        yield "gateways", lambda: ec2.describe_internet_gateways(Filters=OURS)["InternetGateways"]
        yield "subnets", lambda: ec2.describe_subnets(Filters=OURS)["Subnets"]
        yield "tables", lambda: ec2.describe_route_tables(Filters=OURS)["RouteTables"]
        yield "addresses", lambda: ec2.describe_addresses(Filters=OURS)["Addresses"]
        yield "nats", lambda: ec2.describe_nat_gateways(Filters=OURS)["NatGateways"]
        yield "peerings", lambda: ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]
        yield "groups", lambda: ec2.describe_security_groups(Filters=OURS)["SecurityGroups"]
        yield "reservations", lambda: ec2.describe_instances(Filters=OURS)["Reservations"]

    def deeper(self, balancers: Future[Any], groups: Future[Any]) -> None:
        start = self.flow.start
        start(lambda: self.ssm.get_parameter(Name=IMAGE))
        start(lambda: self.iam.get_role_policy(RoleName="salt-master", PolicyName="saltlick"))
        start(lambda: self.iam.get_instance_profile(InstanceProfileName="salt-master"))
        start(lambda b: [self.elb.describe_listeners(LoadBalancerArn=x["LoadBalancerArn"]) for x in b[:1]], balancers)
        start(lambda b: [self.elb.describe_listeners(LoadBalancerArn=x["LoadBalancerArn"]) for x in b[1:]], balancers)
        start(lambda g: [self.elb.describe_target_health(TargetGroupArn=x["TargetGroupArn"]) for x in g[:1]], groups)
        start(lambda g: [self.elb.describe_target_health(TargetGroupArn=x["TargetGroupArn"]) for x in g[1:]], groups)
        start(
            lambda b, g: self.elb.describe_tags(
                ResourceArns=[x["LoadBalancerArn"] for x in b] + [x["TargetGroupArn"] for x in g]
            ),
            balancers,
            groups,
        )

    def keep(self, name: str, items: list[Any]) -> list[Any]:
        with self.lock:
            self.resources[name] = items
        return items


class Raze:
    """Deletes what a look found, each object the moment nothing points to it any more."""

    def __init__(self, clients: Clients, resources: dict[str, list[Any]]) -> None:
        self.ec2, self.elb, self.iam = clients.ec2, clients.elb, clients.iam
        self.resources = resources
        self.flow = Flow()

    def all(self) -> None:
        start, resources = self.flow.start, self.resources
        servers = start(self.servers)
        self.profile(servers)
        nats = [
            start(lambda i=x["NatGatewayId"]: self.ec2.delete_nat_gateway(NatGatewayId=i)) for x in resources["nats"]
        ]
        balancers = [
            start(lambda arn=x["LoadBalancerArn"]: self.elb.delete_load_balancer(LoadBalancerArn=arn))
            for x in resources["balancers"]
        ]
        for x in resources["target_groups"]:
            start(lambda *_, arn=x["TargetGroupArn"]: self.elb.delete_target_group(TargetGroupArn=arn), *balancers)
        peerings = [start(lambda p=x: self.peering(p)) for x in resources["peerings"]]
        for x in resources["addresses"]:
            start(lambda *_, i=x["AllocationId"]: self.ec2.release_address(AllocationId=i), servers, *nats)
        gone = [*self.network((servers, *nats, *balancers)), *self.groups((servers, *balancers)), *peerings]
        for x in resources["vpcs"]:
            start(lambda *_, i=x["VpcId"]: self.ec2.delete_vpc(VpcId=i), *gone)
        self.flow.finish()

    def servers(self) -> None:
        identities = [i["InstanceId"] for r in self.resources["reservations"] for i in r["Instances"]]
        self.ec2.terminate_instances(InstanceIds=identities)
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=identities, WaiterConfig={"Delay": 1})

    def profile(self, servers: Future[Any]) -> None:
        name = "salt-master"
        removed = self.flow.start(
            lambda _: self.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name), servers
        )
        self.flow.start(lambda _: self.iam.delete_instance_profile(InstanceProfileName=name), removed)
        policy = self.flow.start(lambda: self.iam.delete_role_policy(RoleName=name, PolicyName="saltlick"))
        self.flow.start(lambda *_: self.iam.delete_role(RoleName=name), removed, policy)

    def peering(self, peering: dict[str, Any]) -> None:
        if peering["Status"]["Code"] == "active":
            self.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering["VpcPeeringConnectionId"])

    def network(self, users: tuple[Future[Any], ...]) -> list[Future[Any]]:
        start = self.flow.start
        subnets = [
            start(lambda *_, i=x["SubnetId"]: self.ec2.delete_subnet(SubnetId=i), *users)
            for x in self.resources["subnets"]
        ]
        tables = [start(lambda t=x: self.table(t)) for x in self.resources["tables"]]
        gateways = [start(lambda *_, g=x: self.gateway(g), *users) for x in self.resources["gateways"]]
        return [*subnets, *tables, *gateways]

    def table(self, table: dict[str, Any]) -> None:
        """moto keeps associations of deleted subnets, so they go one by one, all at once."""
        links = [x["RouteTableAssociationId"] for x in table["Associations"]]
        with ThreadPoolExecutor(max_workers=max(1, len(links))) as pool:
            list(pool.map(lambda link: self.ec2.disassociate_route_table(AssociationId=link), links))
        self.ec2.delete_route_table(RouteTableId=table["RouteTableId"])

    def gateway(self, gateway: dict[str, Any]) -> None:
        identity = gateway["InternetGatewayId"]
        for attachment in gateway["Attachments"]:
            self.ec2.detach_internet_gateway(InternetGatewayId=identity, VpcId=attachment["VpcId"])
        self.ec2.delete_internet_gateway(InternetGatewayId=identity)

    def groups(self, users: tuple[Future[Any], ...]) -> list[Future[Any]]:
        """A group goes after those whose rules name it: db, app, lb."""
        done: list[Future[Any]] = []
        last: tuple[Future[Any], ...] = users
        for name in ("db", "app", "lb", "salt-master"):
            batch = [
                self.flow.start(lambda *_, i=x["GroupId"]: self.ec2.delete_security_group(GroupId=i), *last)
                for x in self.resources["groups"]
                if x["GroupName"] == name
            ]
            done += batch
            last = (*last, *batch)
        return done


def main() -> None:
    phase = sys.argv[1]
    clients = Clients()
    if phase == "create":
        Build(clients).all()
    elif phase == "recheck":
        Look(clients).all(deep=True)
    elif phase == "destroy":
        Raze(clients, Look(clients).all(deep=False)).all()
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
