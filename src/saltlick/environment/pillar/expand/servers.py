"""Images, key pairs, instance roles, Elastic IPs and the instances themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Protocol

from saltlick.engine.resource import Ref, Resource, Text
from saltlick.environment.pillar import layout
from saltlick.environment.pillar.expand import peering
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
    for group, wanted in environment.servers.items():
        yield from _role(draft, group, wanted)
        for server in layout.servers_of(environment, group):
            yield _instance(draft, server, wanted, peers, boot)
            if wanted.elastic_ip:
                yield _elastic_ip(draft, server)


def images(environment: Environment) -> dict[str, ImageSpec]:
    """Every image that servers are made from, by its lookup's name: `default`, or the first group that chose it."""
    found: dict[str, ImageSpec] = {}
    for group, wanted in environment.servers.items():
        image = wanted.image or environment.image
        if image and image not in found.values():
            found[DEFAULT_IMAGE if image == environment.image else group] = image
    return found


def _image(environment: Environment, wanted: ServerGroup) -> str:
    choice = wanted.image or environment.image
    return next(f"image/{name}" for name, image in images(environment).items() if image == choice)


def _instance(
    draft: Draft, server: layout.DeclaredServer, wanted: ServerGroup, peers: Mapping[str, Environment], boot: FirstBoot
) -> Resource:
    environment = draft.environment
    image = _image(environment, wanted)
    table = next(subnet.table for subnet in layout.subnets(environment) if subnet.name == server.subnet)
    return draft(
        "instance",
        server.local_name,
        server.name,
        # First boot fetches packages and calls the master: without routes it would only wait, or give up.
        after=[*way_out(environment, server.subnet), *peering.ways(environment, table, peers)],
        protected=wanted.protected,
        image=draft.ref(image),
        root_device=draft.ref(image, "root_device"),
        type=wanted.type,
        subnet=draft.ref(f"subnet/{server.subnet}"),
        security_groups=tuple(draft.ref(f"security_group/{name}") for name in sorted(wanted.firewall)),
        user_data=boot.user_data(server, environment, peers),
        profile=draft.ref(f"instance_profile/{server.group}") if wanted.iam_policy else None,
        key_pair=_key_pair(draft, wanted),
        private_ip=server.private_ip,
        volume_gb=wanted.volume_gb,
        public_ip=wanted.public_ip,
    )


def _key_pair(draft: Draft, wanted: ServerGroup) -> Ref | str | None:
    if wanted.key_pair in draft.environment.key_pairs:
        return draft.ref(f"key_pair/{wanted.key_pair}", "name")
    return wanted.key_pair


def _elastic_ip(draft: Draft, server: layout.DeclaredServer) -> Resource:
    return draft(
        "elastic_ip",
        server.local_name,
        f"{server.name}-eip",
        # AWS refuses to associate an address in a VPC without internet gateway.
        after=[GATEWAY],
        instance=draft.ref(server.address),
    )


def _role(draft: Draft, group: str, wanted: ServerGroup) -> Iterator[Resource]:
    if wanted.iam_policy is None:
        return
    name = role_name(draft.environment, group)
    policy = _policy(wanted)
    yield draft("iam_role", group, name, role_name=name, policy=policy)
    yield draft("instance_profile", group, name, profile_name=name, role=draft.ref(f"iam_role/{group}"))


def role_name(environment: Environment, group: str) -> str:
    """Roles are known by name in the whole account: `prod-app`; the group's own name where its servers have theirs."""
    return group if environment.servers[group].names else f"{environment.name}-{group}"


def _policy(wanted: ServerGroup) -> str:
    if wanted.iam_policy == "saltlick":
        from saltlick.kinds.iam_policy import policy

        return json.dumps(policy(), sort_keys=True)
    return json.dumps(wanted.iam_policy, sort_keys=True)
