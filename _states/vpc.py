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

# ruff: noqa: F821 - Salt's loader puts the dunders in
from saltlick.commands.environment import objects

__virtualname__ = "vpc"


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
    given = {"cidr": cidr, "dns_hostnames": dns_hostnames}
    whole = objects.Part(kind="vpc", name=name, given=given, title=title, tags=tags)
    return objects.present(__opts__, name, _place(environment, region, deadline_s), whole, job=_job())


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
    return objects.absent(__opts__, name, _place(environment, region, deadline_s), f"vpc/{name}", job=_job())


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
    given = {"vpc": vpc, "cidr": cidr, "zone": zone, "map_public_ip": map_public_ip}
    whole = objects.Part(kind="subnet", name=name, given=given, title=title, tags=tags)
    return objects.present(__opts__, name, _place(environment, region, deadline_s), whole, job=_job())


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
    return objects.absent(__opts__, name, _place(environment, region, deadline_s), f"subnet/{name}", job=_job())


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
    given = {"vpc": vpc}
    whole = objects.Part(kind="internet_gateway", name=name, given=given, title=title, tags=tags)
    return objects.present(__opts__, name, _place(environment, region, deadline_s), whole, job=_job())


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
    return objects.absent(
        __opts__, name, _place(environment, region, deadline_s), f"internet_gateway/{name}", job=_job()
    )


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
    given = {"subnet": subnet, "elastic_ip": elastic_ip}
    whole = objects.Part(kind="nat_gateway", name=name, given=given, title=title, tags=tags)
    return objects.present(__opts__, name, _place(environment, region, deadline_s), whole, job=_job())


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
    return objects.absent(__opts__, name, _place(environment, region, deadline_s), f"nat_gateway/{name}", job=_job())


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
    given = {"vpc": vpc}
    whole = objects.Part(kind="route_table", name=name, given=given, title=title, tags=tags)
    return objects.present(
        __opts__,
        name,
        _place(environment, region, deadline_s),
        whole,
        *_routes(name, routes),
        *_associations(name, subnets),
        job=_job(),
    )


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
    return objects.absent(__opts__, name, _place(environment, region, deadline_s), f"route_table/{name}", job=_job())


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
    given = {"vpc": vpc, "peer_vpc": peer_vpc}
    whole = objects.Part(kind="peering", name=name, given=given, title=title, tags=tags)
    return objects.present(__opts__, name, _place(environment, region, deadline_s), whole, job=_job())


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
    return objects.absent(__opts__, name, _place(environment, region, deadline_s), f"peering/{name}", job=_job())


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
    whole = objects.Part(kind="security_group", name=name, given=given, title=title, tags=tags)
    return objects.present(
        __opts__, name, _place(environment, region, deadline_s), whole, *_rules(name, ingress), job=_job()
    )


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
    return objects.absent(__opts__, name, _place(environment, region, deadline_s), f"security_group/{name}", job=_job())


def _routes(table, routes):
    whole = {"table": f"route_table/{table}"}
    return [
        objects.Part(kind="route", name=f"{table}:{one.get('destination')}", given={**whole, **one}) for one in routes
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


def _place(environment, region, deadline_s):
    return objects.Place(environment=environment, region=region, deadline_s=deadline_s, context=__context__)


def _job():
    own = globals()
    return own.get("__orchestration_jid__") or own.get("__jid__") or ""
