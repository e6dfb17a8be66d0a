"""Whose key is accepted: decided from both sides, and carried out until all servers are in or named as missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from support.clock import FakeClock
from support.cloud import FakeCloud

from saltlick.environment import console
from saltlick.environment.admission import KeyAdmission
from saltlick.environment.console import ConsoleInstance, ConsoleLook, Consoles
from saltlick.environment.key_decision import decide
from saltlick.environment.key_evidence import AdmissionTargets, ExpectedServer, KeyEvidence, collect_evidence
from saltlick.errors import AwsError, ServerFailed


def finger(byte: str) -> str:
    return ":".join([byte] * 32)


OWN, OTHER = finger("ab"), finger("cd")
NONCE = {"prod-app-1": "11" * 16, "prod-app-2": "22" * 16}


def expected(number: int, **known: str) -> ExpectedServer:
    name = f"prod-app-{number}"
    return ExpectedServer(name=name, address=f"instance/app-{number}", subnet="private-az1", nonce=NONCE[name], **known)


PROD = AdmissionTargets(environment="prod", expected=(expected(1), expected(2)), others=("test", "prod-eu"))
SEEN = frozenset({"prod"})


@dataclass(frozen=True, order=True)
class Key:
    id: str
    finger: str


def running(name: str, number: str = "1", *, state: str = "running", environment: str = "prod") -> ConsoleInstance:
    return ConsoleInstance(
        f"i-{number}",
        name,
        environment,
        state,
        private_ip="10.10.0.11",
        address="instance/" + name.partition("-")[2],
        network=environment,
        subnet="subnet/private-az1",
    )


def shows(*lines: str) -> str:
    return "\r\n".join(["[    1.2] kernel", *(f"saltlick: {line}" for line in lines), "login: "])


def told(key: str, name: str = "prod-app-1") -> str:
    """The line with which the boot script of that server tells its key."""
    return f"minion fingerprint {key} boot {NONCE[name]}"


HONEST = KeyEvidence(
    pending=(Key("prod-app-1", OWN),),
    instances=(running("prod-app-1"),),
    consoles={"i-1": shows(told(OWN), "minion started")},
    networks=SEEN,
)


def test_a_key_that_its_instance_vouches_for_is_accepted():
    decision = decide(PROD, HONEST)
    assert decision.accept == (Key("prod-app-1", OWN),)
    assert decision.refused == ()


REFUSALS = {
    "a stranger's name": (
        replace(HONEST, pending=(Key("evil", OWN),)),
        "declares no server of that name",
    ),
    "a fingerprint without the nonce of that boot": (
        replace(
            HONEST, consoles={"i-1": shows(f"minion fingerprint {OWN}", f"minion fingerprint {OWN} boot {'00' * 16}")}
        ),
        "shows no fingerprint yet",
    ),
    "a wrong fingerprint": (
        replace(HONEST, pending=(Key("prod-app-1", OTHER),)),
        "it is not its instance's",
    ),
    "no instance of that name": (replace(HONEST, instances=()), "there is no instance of that name"),
    "an instance of another environment": (
        replace(HONEST, instances=(running("prod-app-1", environment="test"),)),
        "i-1 has that name and is not instance/app-1 in subnet/private-az1 of the network of prod",
    ),
    "a stopped instance": (replace(HONEST, instances=(running("prod-app-1", state="stopped"),)), "is stopped"),
    "two instances of one name": (
        replace(HONEST, instances=(running("prod-app-1"), running("prod-app-1", "2"))),
        "2 instances have that name",
    ),
    "a silent console": (replace(HONEST, consoles={"i-1": ""}), "shows no fingerprint yet"),
    "a cut off fingerprint": (
        replace(HONEST, consoles={"i-1": shows(f"minion fingerprint {OWN[:60]}")}),
        "shows no fingerprint yet",
    ),
    "two fingerprints": (
        replace(HONEST, consoles={"i-1": shows(told(OWN), told(OTHER))}),
        "2 different fingerprints",
    ),
    "another instance's console": (
        replace(HONEST, consoles={"i-2": shows(told(OWN))}),
        "shows no fingerprint yet",
    ),
}


@pytest.mark.parametrize(("seen", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_any_other_key_stays_pending_and_says_why(seen, reason):
    decision = decide(PROD, seen)
    assert decision.accept == ()
    assert decision.forget == {}
    (refused,) = decision.refused
    assert reason in str(refused)


def test_a_second_key_for_a_known_name_is_refused_and_the_first_one_kept():
    seen = replace(HONEST, pending=(), accepted=(Key("prod-app-1", OWN),), denied=(Key("prod-app-1", OTHER),))
    decision = decide(PROD, seen)
    assert decision.forget == {}
    assert [(key.id, key.finger) for key in decision.refused] == [("prod-app-1", OTHER)]
    assert "second key" in decision.refused[0].reason


def test_a_replaced_server_gets_its_predecessors_key_out_of_the_way():
    seen = replace(HONEST, pending=(), accepted=(Key("prod-app-1", OTHER),), denied=(Key("prod-app-1", OWN),))
    decision = decide(PROD, seen)
    assert "predecessor" in decision.forget["prod-app-1"]
    assert "prod-app-1" in decision.waiting
    assert decision.refused == ()


def test_a_key_denied_in_a_predecessors_time_is_not_reported_once_it_is_in():
    seen = replace(HONEST, pending=(), accepted=(Key("prod-app-1", OWN),), denied=(Key("prod-app-1", OWN),))
    assert decide(PROD, seen).refused == ()


@pytest.mark.parametrize(
    ("minion", "instances", "gone"),
    [
        ("prod-app-1", (), True),  # declared, destroyed
        ("prod-old-7", (), True),  # no longer declared, destroyed
        ("prod-old-7", (running("prod-old-7", state="stopped"),), False),
        ("prod-old-7", (running("prod-old-7", environment="other"),), False),  # somebody else's now, but alive
        ("prod-eu-app-1", (), False),  # another environment whose name begins with ours
        ("test-app-1", (), False),
        ("laptop", (), False),
    ],
)
def test_keys_are_forgotten_only_of_our_servers_that_are_gone(minion, instances, gone):
    seen = KeyEvidence(accepted=(Key(minion, OWN),), instances=instances, networks=SEEN)
    assert (minion in decide(PROD, seen).outlived) is gone


def test_a_failed_first_boot_is_told_in_its_own_words_and_a_repaired_one_is_not():
    broken = {"i-1": shows("FAILED: installing Salt (exit 1); the whole log is /var/log/x")}
    assert "installing Salt" in decide(PROD, replace(HONEST, pending=(), consoles=broken)).failed["prod-app-1"]
    mended = {"i-1": broken["i-1"] + shows("minion started")}
    assert decide(PROD, replace(HONEST, pending=(), consoles=mended)).failed == {}


@dataclass
class FakeKeys:
    """A master's keys in memory: a second key for a known id is denied, as Salt does it."""

    states: dict[str, list[Key]] = field(default_factory=lambda: {"pending": [], "accepted": [], "denied": []})

    def offer(self, key: Key) -> None:
        known = [offered for state in ("pending", "accepted") for offered in self.states[state] if offered.id == key.id]
        state = "denied" if known and key not in known else "pending"
        if key not in [*known, *self.states[state]]:
            self.states[state].append(key)

    def pending(self):
        return tuple(self.states["pending"])

    def accepted(self):
        return tuple(self.states["accepted"])

    def denied(self):
        return tuple(self.states["denied"])

    def accept(self, key) -> bool:
        if key not in [*self.states["pending"], *self.states["denied"]]:
            return False
        for state in self.states:
            self.states[state] = [other for other in self.states[state] if other.id != key.id]
        self.states["accepted"].append(key)
        return True

    def delete(self, minion_id) -> bool:
        there = [key for key in self.states["accepted"] if key.id == minion_id]
        for key in there:
            self.states["accepted"].remove(key)
        return bool(there)


@dataclass
class FakeConsoles:
    found: tuple[ConsoleInstance, ...] = ()
    consoles: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    networks: frozenset[str] = SEEN

    def look(self):
        return ConsoleLook(self.found, self.networks)

    def output(self, instance_id):
        self.asked.append(instance_id)
        return self.consoles.get(instance_id, "")


@dataclass
class FakeMemory:
    known: dict[str, str] = field(default_factory=dict)

    def ids(self, environment):
        return dict(self.known)

    def remember(self, environment, address, instance_id):
        self.known.setdefault(address, instance_id)


@dataclass
class World:
    """Two servers of prod; each offers its key when it has booted."""

    keys: FakeKeys = field(default_factory=FakeKeys)
    consoles: FakeConsoles = field(default_factory=FakeConsoles)
    memory: FakeMemory = field(default_factory=FakeMemory)
    said: list[str] = field(default_factory=list)
    answering: set[str] = field(default_factory=set)

    def boot(self, name: str, number: str, byte: str) -> None:
        self.consoles.found += (running(name, number),)
        self.consoles.consoles[f"i-{number}"] = shows(told(finger(byte), name), "minion started")
        self.keys.offer(Key(name, finger(byte)))
        self.answering.add(name)

    def gate(self, meanwhile=lambda time_s: None) -> KeyAdmission:
        ping = lambda names: [name for name in names if name in self.answering]  # noqa: E731
        return KeyAdmission(
            keys=self.keys,
            consoles=self.consoles,
            memory=self.memory,
            ping=ping,
            notify=self.said.append,
            clock=FakeClock(meanwhile),
        )


@pytest.fixture
def world():
    return World()


def test_admits_each_server_as_it_comes_up(world):
    world.boot("prod-app-1", "1", "ab")
    late = iter([None, None, lambda: world.boot("prod-app-2", "2", "cd")])

    def meanwhile(time_s):
        if step := next(late, None):
            step()

    admission = world.gate(meanwhile).admit(PROD, deadline_s=60)
    assert admission.accepted == ("prod-app-1", "prod-app-2")
    assert admission.refused == ()
    assert len([line for line in world.said if "accepted" in line]) == 2


def test_again_is_no_change_and_asks_no_console(world):
    for number, byte in (("1", "ab"), ("2", "cd")):
        world.boot(f"prod-app-{number}", number, byte)
    world.gate().admit(PROD, deadline_s=60)
    world.consoles.asked.clear()
    again = world.gate().admit(PROD, deadline_s=60)
    assert again.accepted == ()
    assert again.already == ("prod-app-1", "prod-app-2")
    assert world.consoles.asked == []


def test_strangers_do_not_get_in_beside_the_servers_and_are_named_once(world):
    world.keys.offer(Key("evil", OWN))
    for number, byte in (("1", "ab"), ("2", "cd")):
        world.boot(f"prod-app-{number}", number, byte)
    world.keys.offer(Key("prod-app-1", finger("66")))
    admission = world.gate().admit(PROD, deadline_s=60)
    assert {key.id for key in world.keys.pending()} == {"evil"}
    assert {(key.id, key.finger) for key in admission.refused} == {("evil", OWN), ("prod-app-1", finger("66"))}
    assert len([line for line in world.said if line.startswith("evil")]) == 1


def test_an_impostor_who_came_first_neither_gets_in_nor_holds_up_the_true_server(world):
    world.keys.offer(Key("prod-app-1", finger("66")))
    for number, byte in (("1", "ab"), ("2", "cd")):
        world.boot(f"prod-app-{number}", number, byte)
    assert Key("prod-app-1", OWN) in world.keys.denied(), "the stranger's waits, the true one is denied"
    admission = world.gate(lambda time_s: world.keys.offer(Key("prod-app-1", finger("66")))).admit(PROD, deadline_s=30)
    assert admission.accepted == ("prod-app-1", "prod-app-2")
    assert set(world.keys.accepted()) == {Key("prod-app-1", OWN), Key("prod-app-2", OTHER)}


def test_a_server_that_does_not_come_up_fails_by_name_with_its_last_console_lines(world):
    world.boot("prod-app-1", "1", "ab")
    world.consoles.found += (running("prod-app-2", "2"),)
    world.consoles.consoles["i-2"] = "kernel panic - not syncing\r\n"
    with pytest.raises(ServerFailed) as failed:
        world.gate().admit(PROD, deadline_s=30)
    error = str(failed.value)
    assert "1 of 2 servers of prod are not in after 30 s" in error
    assert "prod-app-2: it has not offered a key yet" in error
    assert "| kernel panic" in error
    assert "prod-app-1:" not in error


def test_a_failed_first_boot_ends_the_wait_at_once(world):
    world.boot("prod-app-1", "1", "ab")
    world.consoles.found += (running("prod-app-2", "2"),)
    world.consoles.consoles["i-2"] = shows("FAILED: installing Salt (exit 100); the whole log is /var/log/x")
    gate = world.gate()
    with pytest.raises(ServerFailed, match=r"prod-app-2: its first boot failed: FAILED: installing Salt"):
        gate.admit(PROD, deadline_s=600)
    assert gate.clock.now() < 10


def test_an_accepted_server_that_does_not_answer_fails_by_name(world):
    for number, byte in (("1", "ab"), ("2", "cd")):
        world.boot(f"prod-app-{number}", number, byte)
    world.answering.discard("prod-app-2")
    with pytest.raises(ServerFailed, match="prod-app-2: its key is accepted, and it does not answer"):
        world.gate().admit(PROD, deadline_s=30)


def test_a_replaced_server_comes_in_with_its_new_key(world):
    world.keys.offer(Key("prod-app-1", OTHER))
    world.keys.accept(Key("prod-app-1", OTHER))
    world.boot("prod-app-1", "1", "ab")
    world.boot("prod-app-2", "2", "cd")
    admission = world.gate(lambda time_s: world.keys.offer(Key("prod-app-1", OWN))).admit(PROD, deadline_s=60)
    assert Key("prod-app-1", OWN) in world.keys.accepted()
    assert admission.accepted == ("prod-app-1", "prod-app-2")
    assert "prod-app-1" in admission.forgotten


def test_a_key_that_changed_between_look_and_accept_is_not_taken_for_accepted(world):
    class Switching(FakeKeys):
        def accept(self, key) -> bool:
            return False

    world.keys = Switching()
    world.boot("prod-app-1", "1", "ab")
    with pytest.raises(ServerFailed, match="prod-app-1"):
        world.gate().admit(replace(PROD, expected=(expected(1),)), deadline_s=5)
    assert not [line for line in world.said if "accepted, its" in line]


def test_sweeping_after_a_destroy_forgets_and_accepts_nothing(world):
    world.keys.offer(Key("prod-app-1", OWN))
    world.keys.accept(Key("prod-app-1", OWN))
    world.keys.offer(Key("prod-app-2", OTHER))
    assert list(world.gate().sweep(PROD, destroyed=True)) == ["prod-app-1"]
    assert world.keys.accepted() == ()
    assert [key.id for key in world.keys.pending()] == ["prod-app-2"]


@dataclass
class Ec2(FakeCloud):
    """EC2's two operations, from data."""

    reservations: tuple[dict[str, Any], ...] = ()
    vpcs: tuple[dict[str, Any], ...] = ()
    subnets: tuple[dict[str, Any], ...] = ()
    consoles: dict[str, str] = field(default_factory=dict)
    latest: bool = True
    calls: list[dict[str, Any]] = field(default_factory=list)

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        return {"Vpcs": self.vpcs, "Subnets": self.subnets, "Reservations": self.reservations}[key]

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        self.calls.append(parameters)
        if "Latest" in parameters and not self.latest:
            raise AwsError(operation, "UnsupportedOperation", "not on this instance type")
        if parameters["InstanceId"] not in self.consoles:
            raise AwsError(operation, "InvalidInstanceID.NotFound", "no")
        return {"Output": self.consoles[parameters["InstanceId"]]}


def described(name: str, state: str = "running", **tags: str) -> dict[str, Any]:
    own = {"Name": name, "saltlick:environment": "prod", "saltlick:address": "instance/app-1", **tags}
    listed = [{"Key": key, "Value": value} for key, value in own.items() if value]
    return {"Instances": [{"InstanceId": f"i-{name}", "State": {"Name": state}, "Tags": listed}]}


def test_only_living_instances_with_our_tags_count_whatever_the_filter_let_through():
    cloud = Ec2(
        (
            described("prod-app-1"),
            described("prod-app-2", "terminated"),
            described("prod-app-3", "shutting-down"),
            described("stray", **{"saltlick:environment": ""}),
            described("volume", **{"saltlick:address": "volume/x"}),
        )
    )
    assert [instance.name for instance in Consoles(cloud).instances()] == ["prod-app-1"]


def test_a_console_without_latest_is_asked_for_what_aws_has_and_remembered():
    cloud = Ec2(consoles={"i-1": "boot"}, latest=False)
    consoles = Consoles(cloud)
    assert [consoles.output("i-1"), consoles.output("i-1")] == ["boot", "boot"]
    assert len(cloud.calls) == 3


def test_a_console_of_an_instance_that_aws_does_not_show_yet_is_empty():
    assert Consoles(Ec2()).output("i-9") == ""


def test_last_lines_are_the_end_without_blanks():
    assert console.last_lines("a\r\n\r\nb\nc\n", 2) == ("b", "c")


def test_looking_asks_the_consoles_of_our_own_doubtful_servers_only(world):
    world.boot("prod-app-1", "1", "ab")
    world.consoles.found += (running("test-app-1", "3", environment="test"),)
    collect_evidence(PROD, world.keys, world.consoles, world.memory)
    assert world.consoles.asked == ["i-1"]
