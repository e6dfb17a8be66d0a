"""What AWS says exists: moto's EC2, ELBv2 and IAM models read in-process into one frozen value.

The only file that knows moto's models (but for the STS call in `imds.py`); a change in moto is handled here.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

AMI_ID = "ami-0d12d12d12d12d12d"
_OWN_IMAGE = {
    "ami_id": AMI_ID,
    "name": "debian-12-amd64-saltlick",
    "description": "Debian 12 as the sandbox boots it",
    "owner_id": "136693071363",
    "image_location": "amazon/debian-12-amd64-saltlick",
    "root_device_name": "/dev/xvda",
    "root_device_type": "ebs",
    "creation_date": "2026-01-01T00:00:00.000Z",
}


@dataclass(frozen=True, kw_only=True)
class SandboxVpc:
    id: str
    cidr: str
    default: bool


@dataclass(frozen=True, kw_only=True)
class SandboxRoute:
    """One route of the table that governs a subnet; `peering` is None when it leads anywhere else."""

    destination: str
    peering: str | None


@dataclass(frozen=True, kw_only=True)
class SandboxSubnet:
    id: str
    vpc: str
    cidr: str
    routes: tuple[SandboxRoute, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SandboxPeering:
    id: str
    vpcs: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class SandboxInstance:
    id: str
    account: str
    region: str
    zone: str
    state: str
    image: str
    type: str
    vpc: str
    vpc_cidr: str
    subnet: str
    subnet_cidr: str
    private_ip: str
    private_dns: str
    public_ip: str | None
    mac: str
    tags: tuple[tuple[str, str], ...]
    tags_in_metadata: bool
    user_data: bytes | None
    profile_arn: str | None
    role_name: str | None
    role_arn: str | None
    security_groups: tuple[str, ...]
    launched: datetime

    @property
    def name(self) -> str:
        """The Name tag, or the id."""
        return dict(self.tags).get("Name") or self.id


@dataclass(frozen=True, kw_only=True, order=True)
class SandboxTarget:
    id: str
    port: int


@dataclass(frozen=True, kw_only=True)
class SandboxTargetGroup:
    arn: str
    name: str
    protocol: str
    check_protocol: str
    check_path: str
    check_port: str
    check_codes: str
    interval_s: int
    timeout_s: int
    rise: int
    fall: int
    drain_s: int
    targets: tuple[SandboxTarget, ...]
    deregistered: tuple[SandboxTarget, ...]


@dataclass(frozen=True, kw_only=True)
class SandboxListener:
    port: int
    protocol: str
    target_group: str | None


@dataclass(frozen=True, kw_only=True)
class SandboxBalancer:
    arn: str
    name: str
    vpc: str
    subnet_cidrs: tuple[str, ...]
    internet_facing: bool
    dns_name: str
    listeners: tuple[SandboxListener, ...]


@dataclass(frozen=True, kw_only=True)
class SandboxSnapshot:
    vpcs: tuple[SandboxVpc, ...] = ()
    subnets: tuple[SandboxSubnet, ...] = ()
    peerings: tuple[SandboxPeering, ...] = ()
    instances: tuple[SandboxInstance, ...] = ()
    groups: tuple[SandboxTargetGroup, ...] = ()
    balancers: tuple[SandboxBalancer, ...] = ()


def read() -> SandboxSnapshot:
    """All accounts and regions at once. The caller holds the lock under which moto answers calls."""
    from moto.ec2.models import ec2_backends
    from moto.elbv2.models import elbv2_backends

    clouds = [backend for account in list(ec2_backends.values()) for backend in list(account.values())]
    balancing = [backend for account in list(elbv2_backends.values()) for backend in list(account.values())]
    return SandboxSnapshot(
        vpcs=tuple(_vpc(vpc) for cloud in clouds for vpc in cloud.vpcs.values()),
        subnets=tuple(subnet for cloud in clouds for subnet in _subnets(cloud)),
        peerings=tuple(_peering(p) for cloud in clouds for p in cloud.vpc_pcxs.values() if p._status.code == "active"),
        instances=tuple(instance for cloud in clouds for instance in _instances(cloud)),
        groups=tuple(_group(group) for backend in balancing for group in backend.target_groups.values()),
        balancers=tuple(_balancer(lb) for backend in balancing for lb in backend.load_balancers.values()),
    )


def stop(instance: SandboxInstance) -> None:
    """What StopInstances would do. The caller holds the lock."""
    from moto.ec2.models import ec2_backends

    ec2_backends[instance.account][instance.region].get_instance(instance.id).stop()


def application() -> Any:
    """moto's server application; its image catalogue has the sandbox's own image too, all else is as moto brings it."""
    from moto.ec2.models import amis
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    model = next(ami for ami in amis.AMIS if ami.get("architecture") == "x86_64" and not ami.get("platform"))
    amis.AMIS.append({**model, **_OWN_IMAGE})
    return DomainDispatcherApplication(create_backend_app)


def _vpc(vpc: Any) -> SandboxVpc:
    return SandboxVpc(id=vpc.id, cidr=vpc.cidr_block, default=str(vpc.is_default).lower() == "true")


def _peering(peering: Any) -> SandboxPeering:
    return SandboxPeering(id=peering.id, vpcs=frozenset((peering.vpc.id, peering.peer_vpc.id)))


def _subnets(cloud: Any) -> Iterator[SandboxSubnet]:
    explicit = {subnet: table for table in cloud.route_tables.values() for subnet in table._associations.values()}
    main = {table.vpc_id: table for table in cloud.route_tables.values() if table.main_association_id}
    for zone in list(cloud.subnets.values()):
        for subnet in zone.values():
            table = explicit.get(subnet.id) or main.get(subnet.vpc_id)
            yield SandboxSubnet(
                id=subnet.id, vpc=subnet.vpc_id, cidr=str(subnet.cidr_block), routes=tuple(_routes(table))
            )


def _routes(table: Any) -> Iterator[SandboxRoute]:
    for route in table.routes if table else ():
        if route.destination_cidr_block:
            peering = route.vpc_pcx.id if route.vpc_pcx else None
            yield SandboxRoute(destination=route.destination_cidr_block, peering=peering)


def _instances(cloud: Any) -> Iterator[SandboxInstance]:
    for reservation in list(cloud.reservations.values()):
        for instance in reservation.instances:
            if instance.nics and instance.private_ip:
                yield _instance(cloud, instance)


def _instance(cloud: Any, instance: Any) -> SandboxInstance:
    nic = instance.nics[0]
    subnet = nic.subnet
    profile = _profile(cloud, instance)
    role = next(iter(profile.roles), None) if profile else None
    return SandboxInstance(
        id=instance.id,
        account=cloud.account_id,
        region=cloud.region_name,
        zone=str(instance.availability_zone),
        state=instance.state,
        image=instance.image_id,
        type=instance.instance_type,
        vpc=subnet.vpc_id,
        vpc_cidr=_vpc_cidr(cloud, subnet),
        subnet=subnet.id,
        subnet_cidr=str(subnet.cidr_block),
        private_ip=instance.private_ip,
        private_dns=instance.private_dns_name,
        public_ip=instance.public_ip,
        mac=nic.mac_address,
        tags=tuple(sorted((tag["key"], tag["value"]) for tag in instance.get_tags())),
        tags_in_metadata=instance.metadata_options.instance_metadata_tags == "enabled",
        user_data=_user_data(instance.user_data),
        profile_arn=profile.arn if profile else None,
        role_name=role.name if role else None,
        role_arn=role.arn if role else None,
        security_groups=tuple(group.name for group in nic.group_set),
        launched=instance.launch_time.replace(tzinfo=timezone.utc),
    )


def _profile(cloud: Any, instance: Any) -> Any:
    """The instance's profile itself: what moto keeps on the instance is its description in RunInstances' answer."""
    association = cloud.iam_instance_profile_associations.get(instance.id)
    return association.iam_instance_profile if association else None


def _vpc_cidr(cloud: Any, subnet: Any) -> str:
    vpc = cloud.vpcs.get(subnet.vpc_id)
    return str(vpc.cidr_block if vpc else subnet.cidr_block)


def _user_data(value: Any) -> bytes | None:
    return b64decode(str(value)) if value else None


def _group(group: Any) -> SandboxTargetGroup:
    return SandboxTargetGroup(
        arn=group.arn,
        name=group.name,
        protocol=str(group.protocol),
        check_protocol=str(group.health_check_protocol),
        check_path=group.health_check_path or "/",
        check_port=str(group.health_check_port or "traffic-port"),
        check_codes=str((getattr(group, "matcher", None) or {}).get("HttpCode") or "200"),
        interval_s=int(group.health_check_interval_seconds),
        timeout_s=int(group.health_check_timeout_seconds),
        rise=int(group.healthy_threshold_count),
        fall=int(group.unhealthy_threshold_count),
        drain_s=int(group.attributes["deregistration_delay.timeout_seconds"]),
        targets=_targets(group.targets),
        deregistered=_targets(group.deregistered_targets),
    )


def _targets(targets: Any) -> tuple[SandboxTarget, ...]:
    return tuple(SandboxTarget(id=target["Id"], port=int(target["Port"])) for target in targets.values())


def _balancer(balancer: Any) -> SandboxBalancer:
    return SandboxBalancer(
        arn=balancer.arn,
        name=balancer.name,
        vpc=balancer.vpc_id,
        subnet_cidrs=tuple(str(subnet.cidr_block) for subnet in balancer.subnets),
        internet_facing=balancer.scheme != "internal",
        dns_name=balancer.dns_name,
        listeners=tuple(_listener(listener) for listener in balancer.listeners.values()),
    )


def _listener(listener: Any) -> SandboxListener:
    arns = [arn for action in listener.default_actions for arn in _forwards(action.data)]
    return SandboxListener(port=int(listener.port), protocol=listener.protocol, target_group=arns[0] if arns else None)


def _forwards(action: dict[str, Any]) -> Iterator[str]:
    if action.get("Type") == "forward":
        if action.get("TargetGroupArn"):
            yield action["TargetGroupArn"]
        for group in (action.get("ForwardConfig") or {}).get("TargetGroups") or ():
            yield group["TargetGroupArn"]
