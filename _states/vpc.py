"""
Networks on AWS, object by object: for those who write their own SLS in place of a pillar.

``environment.present`` builds a whole network from its pillar and knows the order by itself; here the order is the SLS's.

Common arguments of all functions here:

environment
    The environment the object belongs to: its ``saltlick:environment`` tag. Use one that ``environment.present`` does not
    manage, else each takes the other's objects for undeclared.

region
    The AWS region.

title
    The ``Name`` tag; ``<environment>-<name>`` when left out.

tags
    Further tags.

deadline_s
    How long to wait for the object to become usable, in seconds.

Where an id is wanted, the address of another object does as well: ``vpc/main``, ``control:vpc/main`` in another
environment, ``{ref: vpc/main}``, or the id itself. What exists as described is left alone; ``test=True`` gives the plan.
"""

# ruff: noqa: ARG001 - the decorator reads the arguments of a declaration
from saltlick.commands.environment import objects

__virtualname__ = "vpc"


def _object(kind):
    return objects.state_of(kind, globals())


@_object("vpc")
def present(name, environment, region, cidr, dns_hostnames=None, title=None, tags=None, deadline_s=900):
    """
    Have a VPC.

    IAM: ec2:DescribeVpcs, CreateVpc, ModifyVpcAttribute, CreateTags.

    .. code-block:: yaml

        main:
          vpc.present:
            - environment: stage
            - region: eu-west-1
            - cidr: 10.30.0.0/16
    """


@_object("vpc")
def absent(name, environment, region, deadline_s=900):
    """
    Delete the VPC; fine when there is none.

    IAM: ec2:DescribeVpcs, DeleteVpc.

    .. code-block:: yaml

        main:
          vpc.absent:
            - environment: stage
            - region: eu-west-1
    """


@_object("subnet")
def subnet_present(
    name, environment, region, vpc, cidr, zone, map_public_ip=False, title=None, tags=None, deadline_s=900
):
    """
    Have a subnet.

    IAM: ec2:DescribeSubnets, CreateSubnet, ModifySubnetAttribute, CreateTags.

    .. code-block:: yaml

        public-az1:
          vpc.subnet_present:
            - environment: stage
            - region: eu-west-1
            - vpc: vpc/main
            - cidr: 10.30.0.0/24
            - zone: eu-west-1a
    """


@_object("subnet")
def subnet_absent(name, environment, region, deadline_s=900):
    """
    Delete the subnet; fine when there is none.

    IAM: ec2:DescribeSubnets, DeleteSubnet.

    .. code-block:: yaml

        public-az1:
          vpc.subnet_absent:
            - environment: stage
            - region: eu-west-1
    """


@_object("internet_gateway")
def internet_gateway_present(name, environment, region, vpc, title=None, tags=None, deadline_s=900):
    """
    Have an internet gateway, attached.

    IAM: ec2:DescribeInternetGateways, CreateInternetGateway, AttachInternetGateway, CreateTags.

    .. code-block:: yaml

        main:
          vpc.internet_gateway_present:
            - environment: stage
            - region: eu-west-1
            - vpc: vpc/main
    """


@_object("internet_gateway")
def internet_gateway_absent(name, environment, region, deadline_s=900):
    """
    Delete the internet gateway; fine when there is none.

    IAM: ec2:DescribeInternetGateways, DetachInternetGateway, DeleteInternetGateway.

    .. code-block:: yaml

        main:
          vpc.internet_gateway_absent:
            - environment: stage
            - region: eu-west-1
    """


@_object("nat_gateway")
def nat_gateway_present(name, environment, region, subnet, elastic_ip, title=None, tags=None, deadline_s=900):
    """
    Have a NAT gateway, and wait until it is available.

    IAM: ec2:DescribeNatGateways, CreateNatGateway, CreateTags.

    .. code-block:: yaml

        az1:
          vpc.nat_gateway_present:
            - environment: stage
            - region: eu-west-1
            - subnet: subnet/public-az1
            - elastic_ip: elastic_ip/nat-az1
    """


@_object("nat_gateway")
def nat_gateway_absent(name, environment, region, deadline_s=900):
    """
    Delete the NAT gateway, and wait until it is gone; fine when there is none.

    IAM: ec2:DescribeNatGateways, DeleteNatGateway.

    .. code-block:: yaml

        az1:
          vpc.nat_gateway_absent:
            - environment: stage
            - region: eu-west-1
    """


@_object("route_table")
def route_table_present(name, environment, region, vpc, routes=(), subnets=(), title=None, tags=None, deadline_s=900):
    """
    Have a route table with exactly these routes and subnets.

    routes
        A list of ``destination`` with one of ``gateway``, ``nat`` or ``peering``. Others in this table are deleted, but
        for those of other environments.

    subnets
        The subnets that follow this table.

    IAM: ec2:DescribeRouteTables, CreateRouteTable, CreateRoute, ReplaceRoute, DeleteRoute, AssociateRouteTable,
        DisassociateRouteTable, ReplaceRouteTableAssociation, CreateTags.

    .. code-block:: yaml

        public:
          vpc.route_table_present:
            - environment: stage
            - region: eu-west-1
            - vpc: vpc/main
            - routes:
                - {destination: 0.0.0.0/0, gateway: internet_gateway/main}
            - subnets: [subnet/public-az1]
    """
    return {"vpc": vpc}, [*_routes(name, routes), *_associations(name, subnets)]


@_object("route_table")
def route_table_absent(name, environment, region, deadline_s=900):
    """
    Delete the route table, with its routes and associations; fine when there is none.

    IAM: ec2:DescribeRouteTables, DeleteRoute, DisassociateRouteTable, DeleteRouteTable.

    .. code-block:: yaml

        public:
          vpc.route_table_absent:
            - environment: stage
            - region: eu-west-1
    """


@_object("peering")
def peering_present(name, environment, region, vpc, peer_vpc, title=None, tags=None, deadline_s=900):
    """
    Have a peering between two VPCs, accepted.

    IAM: ec2:DescribeVpcPeeringConnections, CreateVpcPeeringConnection, AcceptVpcPeeringConnection, CreateTags.

    .. code-block:: yaml

        control:
          vpc.peering_present:
            - environment: stage
            - region: eu-west-1
            - vpc: vpc/main
            - peer_vpc: control:vpc/main
    """


@_object("peering")
def peering_absent(name, environment, region, deadline_s=900):
    """
    Delete the peering; fine when there is none.

    IAM: ec2:DescribeVpcPeeringConnections, DeleteVpcPeeringConnection.

    .. code-block:: yaml

        control:
          vpc.peering_absent:
            - environment: stage
            - region: eu-west-1
    """


@_object("security_group")
def security_group_present(
    name, environment, region, vpc, description, ingress=(), group_name=None, title=None, tags=None, deadline_s=900
):
    """
    Have a security group with exactly these ingress rules.

    ingress
        A list of ``protocol``, ``from_port``, ``to_port``, ``source`` (a network or another group) and ``description``.

    group_name
        The group's own name in its VPC; ``name`` when left out.

    IAM: ec2:DescribeSecurityGroups, CreateSecurityGroup, AuthorizeSecurityGroupIngress, RevokeSecurityGroupIngress, CreateTags.

    .. code-block:: yaml

        app:
          vpc.security_group_present:
            - environment: stage
            - region: eu-west-1
            - vpc: vpc/main
            - description: Application servers
            - ingress:
                - {protocol: tcp, from_port: 80, to_port: 80, source: security_group/lb}
    """
    given = {"vpc": vpc, "group_name": group_name or name, "description": description}
    return given, _rules(name, ingress)


@_object("security_group")
def security_group_absent(name, environment, region, deadline_s=900):
    """
    Delete the security group; fine when there is none.

    IAM: ec2:DescribeSecurityGroups, RevokeSecurityGroupIngress, DeleteSecurityGroup.

    .. code-block:: yaml

        app:
          vpc.security_group_absent:
            - environment: stage
            - region: eu-west-1
    """


def _routes(table, routes):
    whole = {"table": f"route_table/{table}"}
    return [
        objects.Part(kind="route", name=f"{table}:{route.get('destination')}", given={**whole, **route})
        for route in routes
    ]


def _associations(table, subnets):
    whole = {"table": f"route_table/{table}"}
    kind = "route_table_association"
    return [objects.Part(kind=kind, name=_last(subnet), given={**whole, "subnet": subnet}) for subnet in subnets]


def _last(reference):
    address = reference.get("ref", "") if isinstance(reference, dict) else str(reference)
    return address.rpartition("/")[2]


def _rules(group, ingress):
    given = {"group": f"security_group/{group}", "ingress": list(ingress)}
    return [objects.Part(kind="security_group_rules", name=group, given=given)]
