"""`offhours.*` with a real Cloud Custodian against moto: what goes off, what never does, who has the lock, and exit codes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import boto3
import pytest
import requests
import salt.config
import yaml
from support.commands import run_typed
from support.salt_master import CHECKOUT

from saltlick.aws import connect
from saltlick.commands.arguments import caller
from saltlick.commands.offhours import commands, context
from saltlick.commands.offhours.states import as_scheduled
from saltlick.commands.result import guarded
from saltlick.engine.wait import SystemClock
from saltlick.environment import provision
from saltlick.environment.pillar import Boot, expand_environment, parse_environment
from saltlick.errors import InvalidInput
from saltlick.fleet.ports import Reply
from saltlick.jobs import lock
from saltlick.jobs.holder import Mode
from saltlick.jobs.lock import Locks
from saltlick.kinds import KINDS
from saltlick.kinds.iam_policy import OFF_HOURS, policy
from saltlick.offhours import policies, switch
from saltlick.offhours.due import KeepOn
from saltlick.offhours.records import OffHoursRecord
from saltlick.offhours.schedule import OnOff
from saltlick.offhours.turns import ServiceType, Turn
from saltlick.salt_io.pillar import with_grains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ENVIRONMENT = """
environment:
  name: {name}
  production: {production}
  region: us-east-1
  cidr: {net}.0.0/16
  zones: [us-east-1a]
  image: {{id: ami-12c6146b}}
  subnets: {{public: {{cidrs: [{net}.0.0/24]}}}}
  firewall: {{app: [{{from: world, tcp: 80}}]}}
  servers:
    db: {{count: 1, type: t3.small, subnet: public, firewall: app}}
    app: {{count: 2, type: t3.small, subnet: public, firewall: app}}
  salt: {{master: 127.0.0.1}}
"""
HOURS = """
offhours:
  timezone: Europe/Berlin
  off: Mon-Fri 19:00
  on: Mon-Fri 07:00
  settle_s: 20
"""
FRIDAY_EVENING = datetime(2026, 11, 27, 18, 5, tzinfo=timezone.utc)
MONDAY = datetime(2026, 11, 30, 6, 30, tzinfo=timezone.utc)
US = "us-east-1"
NETS = {"night": "10.71", "live": "10.72"}


class Diary:
    """An application that notes who asks it for what; its servers fail as the test says."""

    def __init__(self, look: Callable[[], Any] = lambda: None) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.failing: dict[str, str] = {}
        self.when: dict[str, Callable[[], object]] = {}
        self._look = look

    def leave(self, group: str, servers: Sequence[str]) -> dict[str, Reply]:
        return self._told("leave", servers)

    def enter(self, group: str, servers: Sequence[str], *, deadline_s: float) -> dict[str, Reply]:
        return self._told("enter", servers)

    def _told(self, verb: str, servers: Sequence[str]) -> dict[str, Reply]:
        said = f"{verb} {' '.join(servers)}"
        self.asked.append((said, self._look()))
        self.when.get(said, lambda: None)()
        return {server: self._reply(server) for server in servers}

    def _reply(self, server: str) -> Reply:
        return Reply(False, error=self.failing[server]) if server in self.failing else Reply(True)


class Hand:
    """In place of Custodian, where the test is not about it: acts on the ids in the policies, at once."""

    def __init__(self, aws: Any) -> None:
        self._ec2 = aws("ec2")

    def validate(self, policies: Any) -> None:
        raise AssertionError

    def run(self, policies: Any) -> dict[str, tuple[str, ...]]:
        return {one["name"]: self._act(one) for one in policies}

    def _act(self, policy: Any) -> tuple[str, ...]:
        [ids] = [each["value"] for each in policy["filters"] if each.get("key") == "InstanceId"]
        [action] = policy["actions"]
        getattr(self._ec2, f"{action}_instances")(InstanceIds=ids)
        return tuple(ids)


@pytest.fixture(scope="module")
def aws(moto: str) -> Any:
    """`aws("ec2")` is a client of AWS's own."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=US)
    return lambda service: session.client(service, endpoint_url=moto)


@pytest.fixture(scope="module")
def estate(moto: str) -> Iterator[None]:
    """`night` and `live`, built alike by Saltlick itself, once for all."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"AWS_ENDPOINT_URL": moto, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
            patch.setenv(key, value)
        for name, net in NETS.items():
            raw = yaml.safe_load(ENVIRONMENT.format(name=name, production="false", net=net))
            declared = parse_environment(raw, environment=name)
            resources = expand_environment(declared, {}, Boot(master_finger="00:11"))
            built = provision.Estate(environments=(name,), region=US, resources=resources)
            cloud = connect(US)
            assert not provision.apply(provision.plan(built, cloud, KINDS), cloud, KINDS).failed
        yield


@pytest.fixture
def house(master, cloud_custodian, estate, aws) -> Iterator[Any]:
    """A master that knows both, `live` as production; all servers run, and nothing is remembered."""
    (master.folder / "pillar/common/top.sls").write_text("{{ saltenv }}:\n  '*_master': [environment, offhours]\n")
    (master.folder / "pillar/common/offhours.sls").write_text(HOURS)
    (master.folder / "srv/orch").symlink_to(CHECKOUT / "orch")
    for name, net in NETS.items():
        production = str(name == "live").lower()
        master.pillar(name, ENVIRONMENT.format(name=name, production=production, net=net))
    ids = [one["InstanceId"] for one in instances(aws)]
    aws("ec2").start_instances(InstanceIds=ids)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {**master.environ, "PATH": f"{cloud_custodian.parent}:{os.environ['PATH']}"}.items():
            patch.setenv(key, value)
        yield master
    aws("ec2").delete_tags(Resources=ids, Tags=[{"Key": "saltlick_offhours"}])


@cache
def grains() -> dict[str, Any]:
    """Of this machine, gathered once: each compiled pillar would gather them again."""
    return dict(with_grains(salt.config.master_config(None))["grains"])


def opts(house: Any) -> dict[str, Any]:
    return {**house.opts, "grains": grains()}


def instances(aws: Any) -> list[dict[str, Any]]:
    """Those of `night` and `live` that are there, by name."""
    found = [one for each in aws("ec2").describe_instances()["Reservations"] for one in each["Instances"]]
    mine = [one for one in found if tag(one, "Name").startswith(tuple(NETS)) and one["State"]["Name"] != "terminated"]
    return sorted(mine, key=lambda one: tag(one, "Name"))


def tag(one: dict[str, Any], key: str) -> str:
    return next((each["Value"] for each in one.get("Tags", ()) if each["Key"] == key), "")


def states(aws: Any) -> dict[str, str]:
    return {tag(one, "Name"): one["State"]["Name"] for one in instances(aws)}


def running(aws: Any) -> set[str]:
    return {name for name, state in states(aws).items() if state == "running"}


LIVE = {"live-app-1", "live-app-2", "live-db-1"}
APPS = {"night-app-1", "night-app-2"}


def playing(diary: Diary, hand: Hand | None = None) -> Any:
    """A stage with the real account, and the real Custodian unless a hand is lent."""

    @contextlib.contextmanager
    def stage(given: Any, found: context.OffHoursEnvironment, tell: Any) -> Iterator[switch.OffHoursContext]:
        yield switch.OffHoursContext(
            environment=found.environment,
            hours=found.hours,
            account=context.account_of(found),
            custodian=hand or context.custodian_of(given, found),
            application=diary,
            clock=SystemClock(),
            notify=tell,
        )

    return stage


def run(
    house: Any, at: datetime, diary: Diary | None = None, hand: Hand | None = None
) -> tuple[int, dict[str, Any], str]:
    """`offhours.run night` at that instant."""
    how = {"test": False, "caller": caller("77", "ann"), "open_context": playing(diary or Diary(), hand)}
    answer = guarded(commands.run_at, opts(house), "night", at, **how)
    return answer.retcode, answer.result, str(answer.text)


def record(house: Any) -> OffHoursRecord:
    with context.open_records(opts(house)) as records:
        return records.read("night")


def remember(house: Any, **how: Any) -> None:
    with context.open_records(opts(house)) as records:
        records.change("night", lambda _: OffHoursRecord(**how))


def desk(house: Any, user: str = "bob") -> Locks:
    return Locks(folder=house.folder / "var/cache/salt/master/saltlick/locks", user=user)


# -- off, and on


def test_it_goes_off_in_order_and_comes_back_the_other_way_round(house, aws):
    diary = Diary(look=lambda: sorted(running(aws) - LIVE))
    assert run(house, FRIDAY_EVENING, diary)[0] == 0
    assert diary.asked == [
        ("leave night-app-1 night-app-2", ["night-app-1", "night-app-2", "night-db-1"]),
        ("leave night-db-1", ["night-db-1"]),
    ]
    assert running(aws) == LIVE
    assert record(house).done == FRIDAY_EVENING.replace(minute=0)

    retcode, told, text = run(house, FRIDAY_EVENING + timedelta(minutes=10))
    assert (retcode, told["due"], told["why"]) == (0, None, "done")
    assert "next" in told
    assert "on Mon 2026-11-30 07:00 (Europe/Berlin)" in text

    diary = Diary(look=lambda: sorted(running(aws) - LIVE))
    retcode, told, _ = run(house, MONDAY, diary)
    assert (retcode, told["complete"]) == (0, True)
    assert diary.asked == [
        ("enter night-db-1", ["night-db-1"]),
        ("enter night-app-1 night-app-2", ["night-app-1", "night-app-2", "night-db-1"]),
    ]
    assert running(aws) == LIVE | APPS | {"night-db-1"}


def test_who_started_a_server_by_hand_in_the_evening_keeps_it(house, aws):
    assert run(house, FRIDAY_EVENING, hand=Hand(aws))[0] == 0
    [server] = [one["InstanceId"] for one in instances(aws) if tag(one, "Name") == "night-app-1"]
    aws("ec2").start_instances(InstanceIds=[server])
    assert run(house, FRIDAY_EVENING + timedelta(hours=2), hand=Hand(aws))[1]["why"] == "done"
    assert "night-app-1" in running(aws)


def test_the_first_run_takes_things_as_they_are_and_a_missed_hour_is_caught_up(house, aws):
    saturday = FRIDAY_EVENING + timedelta(hours=15)
    assert "begins with the next hour" in run(house, saturday, hand=Hand(aws))[2]
    assert running(aws) >= APPS
    remember(house, done=MONDAY - timedelta(days=4))  # Thursday morning; then nobody ran until Saturday
    retcode, told, _ = run(house, saturday, hand=Hand(aws))
    assert (retcode, told["side"], told["why"]) == (0, "off", "caught up")
    assert running(aws) == LIVE


def test_a_failure_keeps_the_database_on_and_the_next_run_goes_on(house, aws):
    diary = Diary()
    diary.failing["night-app-2"] = "stop app: exit code 1"
    retcode, told, text = run(house, FRIDAY_EVENING, diary, Hand(aws))
    assert retcode == 4
    assert "night-app-2: failed: stop app: exit code 1" in told["error"]
    assert "db: left: after app" in text
    assert "night-db-1" in running(aws)
    assert record(house).done is None
    assert not record(house).last.ok
    retcode, told, _ = run(house, FRIDAY_EVENING + timedelta(minutes=10), hand=Hand(aws))
    assert (retcode, told["complete"]) == (0, True)
    assert running(aws) == LIVE


def test_an_environment_that_is_not_built_has_nothing_to_switch(house, aws):
    (house.folder / "pillar/night/environment.sls").write_text(
        ENVIRONMENT.format(name="night", production="false", net="10.71")
        .replace("    app:", "    web:")
        .replace("    db:", "    sql:")
    )
    retcode, told, _ = run(house, FRIDAY_EVENING, hand=Hand(aws))
    assert (retcode, told["outcomes"]) == (0, [])


# -- whose it is


@pytest.fixture
def disguised(house, aws) -> Iterator[str]:
    """A server of production, in production's network, with every tag of a server of `night`."""
    other = next(one for one in instances(aws) if tag(one, "Name") == "live-app-1")
    made = aws("ec2").run_instances(
        ImageId=other["ImageId"], MinCount=1, MaxCount=1, SubnetId=other["SubnetId"], InstanceType="t3.small"
    )["Instances"][0]["InstanceId"]
    words = {"Name": "night-app-1", "saltlick:environment": "night", "saltlick_offhours": "on"}
    aws("ec2").create_tags(Resources=[made], Tags=[{"Key": key, "Value": value} for key, value in words.items()])
    yield made
    aws("ec2").terminate_instances(InstanceIds=[made])


def state_of(aws: Any, instance: str) -> str:
    return str(
        aws("ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]
    )


def test_a_server_in_productions_network_is_never_touched_whatever_its_tags_say(house, aws, disguised):
    retcode, told, text = run(house, FRIDAY_EVENING)
    assert state_of(aws, disguised) == "running"
    assert retcode == 4
    assert "stands in a network that is not night's" in text
    assert {one["name"] for one in told["outcomes"] if one["came"] == "done"} == APPS | {"night-db-1"}
    assert record(house).done is not None, "what may be switched is off: nothing is left to do"


def test_custodians_own_filters_leave_it_alone_too(house, aws, disguised):
    """Even where our own look were to fail: every id of the account in a policy, and only the right ones go."""
    found = context.offhours_environment(opts(house), "night")
    everything = [one["InstanceId"] for one in instances(aws)]
    for side in (OnOff.OFF, OnOff.ON):
        made = policies.now(
            found.hours, found.environment, side, Turn(ServiceType.EC2, ("app",)), {"app": [*everything, disguised]}
        )
        acted = context.custodian_of(opts(house), found).run(made)
        names = {one["InstanceId"]: tag(one, "Name") for one in instances(aws)}
        assert {names[one] for ids in acted.values() for one in ids} == APPS
        assert disguised not in {one for ids in acted.values() for one in ids}
        assert state_of(aws, disguised) == "running"
        assert running(aws) >= LIVE


def test_standing_policies_leave_it_alone_too(house, aws, disguised):
    """As Custodian would run them by itself, at an hour that is now."""
    found = context.offhours_environment(opts(house), "night")
    for one in (made := policies.standing(found.hours, found.environment)):
        one["filters"] = [each for each in one["filters"] if each["type"] not in ("offhour", "onhour")]
        one["filters"].append(
            {"type": "offhour", "offhour": datetime.now(timezone.utc).hour, "default_tz": "utc", "weekends": False,
             "tag": "saltlick_offhours", "opt-out": True}
        )  # fmt: skip
    context.custodian_of(opts(house), found).run([one for one in made if "-off-" in one["name"]])
    assert state_of(aws, disguised) == "running"
    assert running(aws) == LIVE | {"night-app-1"}  # the disguised one has that name


def test_a_tag_that_changes_at_the_last_moment_counts(house, aws):
    [server] = [one["InstanceId"] for one in instances(aws) if tag(one, "Name") == "night-app-2"]
    now_live = [{"Key": "saltlick:environment", "Value": "live"}]
    diary = Diary()
    diary.when["leave night-app-1 night-app-2"] = lambda: aws("ec2").create_tags(Resources=[server], Tags=now_live)
    try:
        retcode, told, _ = run(house, FRIDAY_EVENING, diary, Hand(aws))
    finally:
        aws("ec2").create_tags(Resources=[server], Tags=[{"Key": "saltlick:environment", "Value": "night"}])
    assert retcode == 4
    assert "night-app-2: never touched: its tag says that it is live's" in told["error"]
    assert running(aws) == LIVE | {"night-app-2"}


def test_a_server_that_opts_out_stays_on(house, aws):
    [server] = [one["InstanceId"] for one in instances(aws) if tag(one, "Name") == "night-app-2"]
    aws("ec2").create_tags(Resources=[server], Tags=[{"Key": "saltlick_offhours", "Value": "OFF"}])
    retcode, _, text = run(house, FRIDAY_EVENING, hand=Hand(aws))
    assert (retcode, "night-app-2: opted out: by its tag saltlick_offhours" in text) == (0, True)
    assert running(aws) == LIVE | {"night-app-2"}


@pytest.mark.parametrize("asked", ["run", "stop", "start", "status", "policies", "validate", "keep_on"])
def test_production_is_refused_by_every_command(house, aws, asked):
    typed = {"until": "23:00"} if asked == "keep_on" else {}
    answer = run_typed(getattr(commands, asked), opts(house), "live", **typed)
    assert answer.retcode == 2
    assert "live is marked production: it is never switched off" in answer.result["error"]
    assert running(aws) >= LIVE
    assert desk(house).read("live") is None


def test_production_is_refused_in_disguise(house, aws):
    """By another name, by pillar given along, by pillar that has no off-hours, in an orchestration."""
    assert run_typed(commands.stop, opts(house), "night,live").retcode == 2
    told = house.call("offhours.stop", "live", 'pillar={"environment": {"production": false}}')["return"]
    assert told["retcode"] == 2
    assert "pillar: is not an argument" in told["error"]
    told = house.call(
        "state.orchestrate", "orch.offhours", "pillarenv=live", 'pillar={"environment": {"production": false}}'
    )
    [state] = next(iter(told["return"]["data"].values())).values()
    assert (state["result"], "marked production" in state["comment"]) == (False, True)
    (house.folder / "pillar/common/offhours.sls").write_text("")
    assert "marked production" in run_typed(commands.stop, opts(house), "live").result["error"]
    assert running(aws) >= LIVE


# -- who has the lock


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(Mode.JOB, "release of main"), (Mode.SHARED, "backup of database"), (Mode.MANUAL, "sale until Sunday")],
)
def test_a_locked_environment_is_skipped_and_the_holder_named(house, aws, mode, reason, monkeypatch):
    monkeypatch.setattr(lock, "FOR_READERS_S", 1.0)  # a minute; tests/unit/jobs/test_table.py holds that it is one
    taken = desk(house).take("night", reason=reason, mode=mode)
    retcode, told, _ = run(house, FRIDAY_EVENING, hand=Hand(aws))
    assert retcode == 3
    assert "night does not go off for now" in told["error"]
    assert "bob" in told["error"]
    assert reason in told["error"]
    assert running(aws) >= APPS
    desk(house).release(taken) if mode is not Mode.MANUAL else desk(house).unlock("night")
    assert run(house, FRIDAY_EVENING + timedelta(minutes=10), hand=Hand(aws))[0] == 0
    assert running(aws) == LIVE


def test_it_has_the_lock_while_it_works_and_gives_it_back_when_it_fails(house, aws):
    seen = []
    diary = Diary()
    diary.when["leave night-app-1 night-app-2"] = lambda: seen.append(str(desk(house).read("night")))
    diary.failing["night-app-1"] = "no"
    assert run(house, FRIDAY_EVENING, diary, Hand(aws))[0] == 4
    assert "ann" in seen[0]
    assert "offhours: night goes off" in seen[0]
    assert desk(house).read("night") is None
    assert record(house).job == ""


def test_an_interruption_says_so_gives_the_lock_back_and_the_next_run_goes_on(house, aws):
    diary = Diary()
    diary.when["leave night-db-1"] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    retcode, told, _ = run(house, FRIDAY_EVENING, diary, Hand(aws))
    assert (retcode, "SIGTERM: what was switched stays so" in told["error"]) == (4, True)
    assert running(aws) == LIVE | {"night-db-1"}
    assert desk(house).read("night") is None
    assert record(house).done is None
    assert run(house, FRIDAY_EVENING + timedelta(minutes=10), hand=Hand(aws))[0] == 0
    assert running(aws) == LIVE


def test_a_run_that_goes_wrong_is_in_the_log_for_nobody_reads_its_answer(house, caplog):
    assert run_typed(commands.run, opts(house), "live").retcode == 2
    assert "offhours.run live: offhours: 1 problem, nothing was touched" in caplog.text


def stale(house: Any, job: str, reason: str) -> None:
    taken = desk(house).take("night", reason=reason, job=job)
    gone = {**taken.holder.as_data(), "process": {"pid": 2**22 + 1, "started": "long ago"}}
    (desk(house).folder / "night.json").write_text(json.dumps(gone))


def test_the_lock_of_its_own_killed_run_is_taken_over(house, aws):
    stale(house, "76", "offhours: night goes off")
    remember(house, job="76")
    assert run(house, FRIDAY_EVENING, hand=Hand(aws))[0] == 0
    assert running(aws) == LIVE


def test_what_a_killed_release_left_is_looked_at_by_a_person_first(house, aws):
    stale(house, "76", "release of main")
    retcode, told, _ = run(house, FRIDAY_EVENING, hand=Hand(aws))
    assert (retcode, "may have left work half done" in told["error"]) == (3, True)
    assert running(aws) >= APPS


# -- kept on


def test_it_is_kept_on_until_then_and_goes_off_by_itself(house, aws):
    until = FRIDAY_EVENING + timedelta(hours=3)
    keep = KeepOn(until=until, since=FRIDAY_EVENING - timedelta(hours=1), by="ann", reason="the board")
    remember(house, keep=keep, done=MONDAY - timedelta(days=3))
    retcode, told, text = run(house, FRIDAY_EVENING, hand=Hand(aws))
    assert (retcode, told["due"]) == (0, None)
    assert "kept on until Fri 2026-11-27 22:05 (Europe/Berlin) by ann: the board" in text
    assert running(aws) >= APPS
    assert run(house, until + timedelta(minutes=4), hand=Hand(aws))[1]["side"] == "off"
    assert running(aws) == LIVE
    assert record(house).keep is None


def test_keep_on_is_said_and_taken_back(house):
    said = run_typed(commands.keep_on, opts(house), "night", until="2026-11-20T22:00", user="ann")
    assert said.retcode == 2
    in_two_hours = (datetime.now(timezone.utc) + timedelta(hours=2)).isoformat()
    answer = run_typed(commands.keep_on, opts(house), "night", until=in_two_hours, reason="late work", user="ann")
    assert (answer.retcode, answer.result["keep"]["by"]) == (0, "ann")
    assert record(house).keep.reason == "late work"
    assert "late work" in str(run_typed(commands.status, opts(house), "night").text)
    assert run_typed(commands.keep_on, opts(house), "night", until="none").retcode == 0
    assert record(house).keep.until <= datetime.now(timezone.utc)
    assert "not kept on by anybody" in str(run_typed(commands.keep_on, opts(house), "night", until="none").text)


# -- databases and Auto Scaling groups


@pytest.fixture
def managed(house, aws) -> Iterator[dict[str, str]]:
    """A database and a group of each environment, tagged; and one of `live` that says it were `night`'s."""
    subnets = {
        tag(one, "saltlick:environment"): one["SubnetId"]
        for one in aws("ec2").describe_subnets()["Subnets"]
        if one.get("Tags")
    }
    rds, asg = aws("rds"), aws("autoscaling")
    asg.create_launch_configuration(LaunchConfigurationName="plain", ImageId="ami-12c6146b", InstanceType="t3.small")
    for name, says, where in (
        ("night-pg", "night", "night"),
        ("live-pg", "live", "live"),
        ("false-pg", "night", "live"),
    ):
        tags = [{"Key": "saltlick:environment", "Value": says}]
        rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="x", SubnetIds=[subnets[where]])
        rds.create_db_instance(
            DBInstanceIdentifier=name, DBInstanceClass="db.t3.small", Engine="postgres", DBSubnetGroupName=name, Tags=tags,
            MasterUsername="x", MasterUserPassword="xxxxxxxx", AllocatedStorage=10,
        )  # fmt: skip
        asg.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=1, MaxSize=1, DesiredCapacity=1, LaunchConfigurationName="plain",
            VPCZoneIdentifier=subnets[where], Tags=[{**tags[0], "ResourceId": name, "PropagateAtLaunch": False}],
        )  # fmt: skip
    (house.folder / "pillar/common/offhours.sls").write_text(HOURS + "  covers: {ec2: false, rds: true, asg: true}\n")
    yield subnets
    for name in ("night-pg", "live-pg", "false-pg"):
        asg.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        rds.delete_db_subnet_group(DBSubnetGroupName=name)
    asg.delete_launch_configuration(LaunchConfigurationName="plain")


def managed_states(aws: Any) -> dict[str, tuple[str, bool]]:
    databases = {
        one["DBInstanceIdentifier"]: one["DBInstanceStatus"]
        for one in aws("rds").describe_db_instances()["DBInstances"]
    }
    groups = {
        one["AutoScalingGroupName"]: bool(one["SuspendedProcesses"])
        for one in aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    }
    return {name: (databases[name], groups[name]) for name in databases}


def test_databases_and_groups_of_aws_go_too_and_only_ours(house, aws, managed):
    retcode, told, _ = run(house, FRIDAY_EVENING)
    off, on = ("stopped", True), ("available", False)
    assert managed_states(aws) == {"night-pg": off, "live-pg": on, "false-pg": on}
    done = [one["turn"] for one in told["outcomes"] if one["came"] == "done"]
    assert done == ["Auto Scaling groups", "RDS"]
    assert {one["name"] for one in told["outcomes"] if one["came"] == "never touched"} == {"false-pg"}
    assert retcode == 4

    found = context.offhours_environment(opts(house), "night")
    everything = {"": list(managed_states(aws))}
    made = [
        one
        for service in (ServiceType.RDS, ServiceType.ASG)
        for one in policies.now(found.hours, found.environment, OnOff.ON, Turn(service), everything)
    ]
    made[1]["actions"] = [{"type": "resume", "delay": 0}]  # Custodian's own pause is half a minute
    assert list(context.custodian_of(opts(house), found).run(made).values()) == [("night-pg",), ("night-pg",)]
    assert managed_states(aws) == {"night-pg": on, "live-pg": on, "false-pg": on}


def action_of(asked: dict[str, Any]) -> str:
    """The IAM action of a recorded request."""
    service = asked["headers"]["Authorization"].split("/")[3]
    body = base64.b64decode(asked["body"]).decode() if asked["body_encoded"] else asked["body"]
    return f"{service}:{parse_qs(body)['Action'][0]}"


def test_the_masters_policy_allows_what_custodian_and_we_ask(house, aws, managed, moto, monkeypatch):
    """By what moto was asked, in everything that is switched off."""
    monkeypatch.chdir(house.folder)  # where moto, which runs in this process, writes its recording
    (house.folder / "pillar/common/offhours.sls").write_text(HOURS + "  covers: {rds: true, asg: true}\n")
    requests.post(f"{moto}/moto-api/recorder/start-recording", timeout=20)
    try:
        run(house, FRIDAY_EVENING)
    finally:
        requests.post(f"{moto}/moto-api/recorder/stop-recording", timeout=20)
    found = {action_of(json.loads(line)) for line in Path("moto_recording").read_text().splitlines()}
    allowed = {action for each in policy()["Statement"] for action in each["Action"]}
    assert found - {"sts:GetCallerIdentity"} <= allowed  # which needs no permission
    assert found - {"sts:GetCallerIdentity"} == {
        action for action in OFF_HOURS if not re.search(":(Start|Resume)", action)
    }


# -- Custodian itself


def test_custodian_validates_what_is_rendered_and_refuses_what_is_not_policy(house):
    assert run_typed(commands.validate, opts(house), "night").retcode == 0
    found = context.offhours_environment(opts(house), "night")
    made = [{**one, "actions": ["destroy"]} for one in policies.standing(found.hours, found.environment)]
    with pytest.raises(InvalidInput, match="Cloud Custodian refuses"):
        context.custodian_of(opts(house), found).validate(made)


def test_a_custodian_that_fails_is_a_failure_and_nothing_is_done(house, aws, monkeypatch):
    broken = house.folder / "custodian"
    broken.write_text("#!/bin/sh\necho boom >&2\nexit 2\n")
    broken.chmod(0o755)
    given = {**opts(house), "saltlick_custodian": str(broken)}
    how = {"test": False, "caller": caller("77", "ann"), "open_context": playing(Diary())}
    answer = guarded(commands.run_at, given, "night", FRIDAY_EVENING, **how)
    assert (answer.retcode, "Cloud Custodian: exit code 2: boom" in answer.result["error"]) == (4, True)
    assert record(house).done is None


def test_a_custodian_that_does_nothing_is_found_out(house, aws):
    """It logs what AWS refuses, and exits with 0."""
    idle = house.folder / "custodian"
    idle.write_text("#!/bin/sh\nexit 0\n")
    idle.chmod(0o755)
    how = {"test": False, "caller": caller("77", "ann"), "open_context": playing(Diary())}
    answer = guarded(commands.run_at, {**opts(house), "saltlick_custodian": str(idle)}, "night", FRIDAY_EVENING, **how)
    assert (answer.retcode, "Custodian's own filters left it out" in answer.result["error"]) == (4, True)


def test_without_custodian_or_a_master_it_says_so_and_touches_nothing(house, aws):
    answer = run_typed(commands.stop, {**opts(house), "saltlick_custodian": "/nowhere/custodian"}, "night")
    assert (answer.retcode, "/nowhere/custodian is not there" in answer.result["error"]) == (7, True)
    answer = run_typed(commands.stop, opts(house), "night")
    assert (answer.retcode, "no salt-master runs here" in answer.result["error"]) == (7, True)
    assert desk(house).read("night") is None
    assert running(aws) >= APPS


# -- through Salt


def test_the_command_line(house):
    done = house.run("offhours.policies", "night")
    assert [one["name"] for one in yaml.safe_load(done.stdout)["policies"]] == [
        "night-off-1-ec2-app", "night-off-2-ec2-db", "night-on-1-ec2-db", "night-on-2-ec2-app",
    ]  # fmt: skip
    done = house.run("offhours.keep_on", "night", "until=22:00", "--out=json")
    assert (done.code, done.json["keep"]["until"][14:19] in {"00:00"}) == (0, True), done
    zone = datetime.fromisoformat(done.json["keep"]["until"]).astimezone(ZoneInfo("Europe/Berlin"))
    assert (zone.hour, zone.minute) == (22, 0)
    done = house.run("offhours.keep_on", "night", "until=none")
    assert (done.code, "is not kept on any more" in done.stdout) == (0, True)
    done = house.run("offhours.run", "night", "tset=True")
    assert (done.code, "tset: is not an argument; there are test, lock_wait" in done.stdout) == (2, True)


def test_the_state_and_the_orchestration(house):
    remember(house, done=datetime.now(timezone.utc))  # in the hour after 19:00 in Berlin a change would be due
    state = as_scheduled(opts(house), "night", caller())
    assert state["result"] is True, state
    told = house.call("state.orchestrate", "orch.offhours", "pillarenv=night")["return"]
    [state] = next(iter(told["data"].values())).values()
    assert (state["result"], "nothing to do" in state["comment"]) == (True, True), state
    assert as_scheduled(opts(house), "live", caller())["result"] is False
