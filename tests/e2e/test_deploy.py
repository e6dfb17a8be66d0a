"""The main job, whole: an empty region, `saltlick bootstrap`, one orchestration on the master, a page through the balancer."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from e2e.estate import MASTER, SERVERS, bootstrap, deploy, fetch, keys, page_url

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]

IMPOSTOR = """
mkdir -p /tmp/impostor/pki
cat >/tmp/impostor/minion <<CONF
id: {name}
root_dir: /tmp/impostor
pki_dir: /tmp/impostor/pki
master: {master}
acceptance_wait_time: 1
rejected_retry: true
CONF
timeout 900 /opt/saltlick/venv/bin/salt-call -c /tmp/impostor test.ping >/tmp/impostor/output 2>&1 &
"""


def test_one_command_builds_admits_and_configures(sandbox, built):
    assert "12 created, 0 updated" in built["bootstrap"]
    assert "salt-run state.orchestrate orch.deploy-environment" in built["bootstrap"]
    states = built["deploy"]
    assert sorted(states["admission"]["changes"]) == sorted(SERVERS)
    assert sorted(keys(sandbox)["minions"]) == sorted([MASTER, *SERVERS])
    assert states["page"]["comment"].count("200 from test-app-1") >= 1
    assert states["page"]["comment"].count("200 from test-app-2") >= 1


def test_the_page_names_server_revision_and_request(sandbox, built):
    """Through the balancer's outer address, from this machine."""
    url = page_url(sandbox)
    answers = [fetch(url) for _ in range(6)]
    assert {answer["server"] for answer in answers} == {"test-app-1", "test-app-2"}
    [revision] = {answer["revision"] for answer in answers}
    assert len(revision) == 40
    assert all(answer["request_id"] == answer["header"] for answer in answers)
    assert len({answer["request_id"] for answer in answers}) == 6
    assert fetch(url, **{"X-Request-Id": "my-own"})["request_id"] == "my-own"


def test_the_same_again_changes_nothing_and_lets_no_impostor_in(sandbox, built):
    for server, name in (("test-db-1", "stranger"), ("test-db-2", "test-app-1")):
        done = sandbox.run(server, ["sh", "-c", IMPOSTOR.format(name=name, master="172.20.0.10")])
        assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 180
    while not (keys(sandbox)["minions_pre"] and keys(sandbox)["minions_denied"]):
        assert time.monotonic() < deadline, keys(sandbox)
        time.sleep(2)

    assert "0 created, 0 updated, 0 replaced, 0 deleted, 12 unchanged" in bootstrap(sandbox)
    states = deploy(sandbox)
    changed = {name: state["changes"] for name, state in states.items() if state["changes"]}
    assert changed == {}
    comment = states["admission"]["comment"]
    assert "4 servers are in, 0 of them new" in comment
    assert "declares no server of that name" in comment
    assert "second key for a name that has one" in comment
    after = keys(sandbox)
    assert after["minions_pre"] == ["stranger"]
    assert after["minions_denied"] == ["test-app-1"]
    assert sorted(after["minions"]) == sorted([MASTER, *SERVERS])


def test_a_server_of_test_reads_nothing_of_prod(sandbox, built):
    def pillar(environment: str) -> dict[str, Any]:
        command = ["salt-call", "--out=json", "--log-level=quiet", "pillar.items", f"pillarenv={environment}"]
        done = sandbox.run("test-app-1", command)
        return json.loads(done.stdout)["local"]

    assert pillar("test").keys() >= {"roles", "app"}  # 3008 masks the values
    for other in ("prod", "control"):
        assert not pillar(other).keys() & {"roles", "app", "environment"}


def test_user_data_holds_no_secret_and_the_master_trusts_by_console(sandbox, aws):
    instances = [one for each in aws("ec2").describe_instances()["Reservations"] for one in each["Instances"]]
    tags = {tag["Value"] for one in instances for tag in one.get("Tags", ()) if tag["Key"] == "Name"}
    assert tags >= {MASTER, *SERVERS}
    for one in instances:
        answer = aws("ec2").describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="userData")
        text = answer["UserData"].get("Value", "")
        assert "PRIVATE KEY" not in text
        assert "AWS_SECRET" not in text
