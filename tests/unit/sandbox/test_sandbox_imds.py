"""The metadata service: only instances, only with a token, each about itself."""

from __future__ import annotations

import json

import pytest
from support.clock import FakeClock
from support.sandbox_clouds import instance

from saltlick.sandbox.cloud import SandboxInstance
from saltlick.sandbox.imds import TOKEN_HEADER, TOKEN_PATH, TTL_HEADER, MetadataReply, MetadataService

HERE, THERE = instance(1), instance(2, user_data=None, profile_arn=None, role_name=None, tags_in_metadata=False)
BY_ADDRESS = {i.private_ip: i for i in (HERE, THERE)}


def service(clock: FakeClock | None = None) -> MetadataService:
    return MetadataService(BY_ADDRESS.get, lambda i: {"AccessKeyId": f"key of {i.id}"}, (clock or FakeClock()).now)


def token(imds: MetadataService, source: SandboxInstance = HERE, ttl: str = "60") -> str:
    return imds.reply("PUT", source.private_ip, TOKEN_PATH, {TTL_HEADER: ttl}).body.decode()


def get(path: str, source: SandboxInstance = HERE) -> MetadataReply:
    imds = service()
    return imds.reply("GET", source.private_ip, path, {TOKEN_HEADER: token(imds, source)})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/latest/meta-data/instance-id", "i-1"),
        ("/2021-03-23/meta-data/local-ipv4", "10.1.0.4"),
        ("/2009-04-04/meta-data/placement/availability-zone", "us-east-1a"),
        ("/latest/meta-data/tags/instance/Name", "app-1"),
        ("/latest/meta-data/tags/instance/", "Name"),
        ("/latest/meta-data/iam/security-credentials/", "salt-master"),
        ("/latest/meta-data/network/interfaces/macs/", "02:00:00:00:00:01/"),
        ("/latest/user-data", "#!/bin/sh\n"),
        ("/latest/", "dynamic\nmeta-data\nuser-data"),
    ],
)
def test_paths(path: str, body: str) -> None:
    assert get(path).body.decode() == body


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/nothing",
        "/latest/meta-data/instance-id/more",
        "/later/meta-data/",
        "/latest/other",
        "/latest/user-data/x",
    ],
)
def test_what_is_not_there(path: str) -> None:
    assert get(path).status == 404


def test_every_path_that_is_listed_is_there() -> None:
    def walk(path: str) -> int:
        reply = get(path)
        assert reply.status == 200, path
        if not path.endswith("/") or path.endswith("security-credentials/"):
            return 1
        return sum(walk(path + name) for name in reply.body.decode().splitlines())

    assert walk("/latest/meta-data/") > 25


def test_each_instance_is_told_about_itself() -> None:
    assert json.loads(get("/latest/dynamic/instance-identity/document", THERE).body)["instanceId"] == "i-2"
    for absent in ("/latest/user-data", "/latest/meta-data/iam/", "/latest/meta-data/tags/"):
        assert get(absent, THERE).status == 404
    credentials = get("/latest/meta-data/iam/security-credentials/salt-master")
    assert json.loads(credentials.body) == {"AccessKeyId": "key of i-1"}


def test_nothing_without_a_token() -> None:
    assert service().reply("GET", HERE.private_ip, "/latest/meta-data/instance-id", {}).status == 401


def test_a_token_is_good_for_its_instance_only_and_for_its_time_only() -> None:
    clock = FakeClock()
    imds = service(clock)
    given = {TOKEN_HEADER: token(imds)}
    path = "/latest/meta-data/instance-id"
    assert imds.reply("GET", HERE.private_ip, path, given).status == 200
    assert imds.reply("GET", THERE.private_ip, path, given).status == 401
    clock.sleep(60)
    assert imds.reply("GET", HERE.private_ip, path, given).status == 401


@pytest.mark.parametrize("ttl", ["", "0", "21601", "-1", "soon"])
def test_a_token_needs_a_sensible_time(ttl: str) -> None:
    assert service().reply("PUT", HERE.private_ip, TOKEN_PATH, {TTL_HEADER: ttl}).status == 400


def test_strangers_and_proxies_get_nothing() -> None:
    assert service().reply("PUT", "192.0.2.1", TOKEN_PATH, {TTL_HEADER: "60"}).status == 404
    forwarded = {TTL_HEADER: "60", "X-Forwarded-For": "10.0.0.1"}
    assert service().reply("PUT", HERE.private_ip, TOKEN_PATH, forwarded).status == 403
