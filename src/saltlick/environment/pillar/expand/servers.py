"""Images, key pairs, instance roles, Elastic IPs and the instances themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from saltlick.engine.resource import Ref, Resource, Text
from saltlick.environment.pillar import layout
from saltlick.environment.pillar.expand import peering
from saltlick.environment.pillar.expand.buckets import statements
from saltlick.environment.pillar.expand.draft import Draft
from saltlick.environment.pillar.expand.network import GATEWAY, way_out
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import ImageSpec, ServerGroup

DEFAULT_IMAGE = "default"


class FirstBoot(Protocol):
    """What makes user data; `pillar.boot.Boot` does."""

    def user_data(
        self, server: layout.DeclaredServer, environment: Environment, peers: Mapping[str, Environment]
    ) -> Text | None: ...


def resources(environment: Environment, peers: Mapping[str, Environment], boot: FirstBoot) -> Iterator[Resource]:
    """All that the server groups consist of."""
    draft = Draft(environment)
    for name, image in images(environment).items():
        yield draft("image", name, draft.titled(name, "image"), **image.model_dump())
    for name, public_key in environment.key_pairs.items():
        yield draft("key_pair", name, draft.titled(name), public_key=public_key)
    for group, spec in environment.servers.items():
        yield from _role(draft, group, spec)
        for server in layout.servers_of(environment, group):
            yield _instance(draft, server, spec, peers, boot)
            if spec.elastic_ip:
                yield _elastic_ip(draft, server)


def images(environment: Environment) -> dict[str, ImageSpec]:
    """Every image that servers are made from, by its lookup's name: `default`, or the first group that chose it."""
    chosen: dict[str, ImageSpec] = {}
    for group, spec in environment.servers.items():
        image = spec.image or environment.image
        if image and image not in chosen.values():
            chosen[DEFAULT_IMAGE if image == environment.image else group] = image
    return chosen


def _image(environment: Environment, spec: ServerGroup) -> str:
    choice = spec.image or environment.image
    return next(f"image/{name}" for name, image in images(environment).items() if image == choice)


def _instance(
    draft: Draft, server: layout.DeclaredServer, spec: ServerGroup, peers: Mapping[str, Environment], boot: FirstBoot
) -> Resource:
    environment = draft.environment
    image = _image(environment, spec)
    table = next(subnet.table for subnet in layout.subnets(environment) if subnet.name == server.subnet)
    return draft(
        "instance",
        server.local_name,
        server.name,
        # First boot fetches packages and calls the master: without routes it would only wait, or give up.
        after=[*way_out(environment, server.subnet), *peering.ways(environment, table, peers)],
        protected=spec.protected,
        image=draft.ref(image),
        root_device=draft.ref(image, "root_device"),
        type=spec.type,
        subnet=draft.ref(f"subnet/{server.subnet}"),
        security_groups=tuple(draft.ref(f"security_group/{name}") for name in sorted(spec.firewall)),
        user_data=boot.user_data(server, environment, peers),
        profile=draft.ref(f"instance_profile/{server.group}") if has_role(spec) else None,
        key_pair=_key_pair(draft, spec),
        private_ip=server.private_ip,
        volume_gb=spec.volume_gb,
        public_ip=spec.public_ip,
    )


def _key_pair(draft: Draft, spec: ServerGroup) -> Ref | str | None:
    if spec.key_pair in draft.environment.key_pairs:
        return draft.ref(f"key_pair/{spec.key_pair}", "name")
    return spec.key_pair


def _elastic_ip(draft: Draft, server: layout.DeclaredServer) -> Resource:
    return draft(
        "elastic_ip",
        server.local_name,
        f"{server.name}-eip",
        # AWS refuses to associate an address in a VPC without internet gateway.
        after=[GATEWAY],
        instance=draft.ref(server.address),
    )


def _role(draft: Draft, group: str, spec: ServerGroup) -> Iterator[Resource]:
    if not has_role(spec):
        return
    name = role_name(draft.environment, group)
    policy = _policy(draft.environment.region, spec, name)
    boundary = draft.environment.permissions_boundary
    yield draft("iam_role", group, name, role_name=name, policy=policy, boundary=boundary)
    yield draft("instance_profile", group, name, profile_name=name, role=draft.ref(f"iam_role/{group}"))


def has_role(spec: ServerGroup) -> bool:
    """Whether the servers of a group may do anything in AWS."""
    return bool(spec.iam_policy is not None or spec.buckets)


def role_name(environment: Environment, group: str) -> str:
    """Roles are known by name in the whole account: `prod-app`; the group's own name where its servers have theirs."""
    return group if environment.servers[group].names else f"{environment.name}-{group}"


def _policy(region: str, spec: ServerGroup, role: str) -> str:
    document = _own_policy(spec, role)
    if spec.buckets:
        own = document.get("Statement", [])
        document["Statement"] = [*([own] if isinstance(own, Mapping) else own), *statements(region, spec.buckets)]
    return json.dumps(document, sort_keys=True)


def _own_policy(spec: ServerGroup, role: str) -> dict[str, Any]:
    if spec.iam_policy == "saltlick":
        from saltlick.kinds.iam_policy import policy

        return policy(roles=spec.iam_roles, buckets=spec.iam_buckets, master=role)
    return dict(spec.iam_policy or {"Version": "2012-10-17"})
