"""The hypervisor: converges Docker to what moto answers, again and again, and tells its services who is who."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from saltlick.sandbox import cloud, conflicts, packets, settings
from saltlick.sandbox.api import ApiCall
from saltlick.sandbox.balancer import BackendHealth
from saltlick.sandbox.balancing import Balancing
from saltlick.sandbox.cloud import SandboxInstance, SandboxSnapshot, SandboxTarget
from saltlick.sandbox.desired import ALIVE, Actual, Desired, balancer_key, desired, difference
from saltlick.sandbox.docker_host import DockerHost
from saltlick.sandbox.faults import FaultInjector
from saltlick.sandbox.machines import Machines
from saltlick.sandbox.view import view

log = logging.getLogger("saltlick.sandbox")
TICK_S = 1.0


class Hypervisor:
    """One loop in one thread; woken after every call that may have changed something, and every second.

    `lock` is the one under which moto answers calls: its models are read under it.
    """

    def __init__(self, config: settings.Settings, images: Mapping[str, str], metal: DockerHost) -> None:
        self.settings, self.metal = config, metal
        self.lock = threading.RLock()
        self.injector = FaultInjector()
        self.snapshot = SandboxSnapshot()
        self.wanted = Desired(networks=(), machines=())
        self.balancing = Balancing(config.balancers, self._reload)
        self.machines = Machines(metal, images, done=self.wake, gone=self.balancing.forget)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._rules = ""

    def run(self) -> None:
        """Run rounds until stopped. An error of one round is logged and shown by `status`; the next round tries again."""
        while not self._stop.is_set():
            self._wake.wait(TICK_S)
            self._wake.clear()
            try:
                self.converge()
                self.machines.problems.pop("hypervisor", None)
            except Exception as error:
                log.exception("a round failed")
                self.machines.problems["hypervisor"] = str(error)

    def converge(self) -> None:
        """One round: look at AWS, look at Docker, do what is missing. Rules stand before what needs them starts."""
        self.snapshot, actual = self._fresh(), self.metal.actual()
        self._notice_power_off(actual)
        with self.lock:
            self.balancing.registry.follow(self.snapshot, time.monotonic())
        self.balancing.configure(self.snapshot)
        self.wanted = desired(self.snapshot, self.settings.internet, actual)
        actions = difference(self.wanted, actual)
        for action in actions:
            self.machines.network(action)
        self._packets()
        for action in (*actions, *self.machines.due_reboots(self.wanted)):
            if action.machine:
                self.machines.machine(action)
        self.balancing.check(self.snapshot, time.monotonic())

    def wake(self) -> None:
        self._wake.set()

    def called(self, call: ApiCall) -> None:
        """A call may have changed something."""
        if call.action == "RebootInstances":
            self.machines.reboot({v for name, v in call.parameters.items() if name.startswith("InstanceId.")})
        self.wake()

    def stop(self) -> None:
        self._stop.set()
        self.wake()

    # the parts of a round

    def _fresh(self) -> SandboxSnapshot:
        with self.lock:
            return cloud.read()

    def _packets(self) -> None:
        have = self.metal.actual()
        vpcs = {
            vpc.id: vpc.cidr for vpc in sorted(self.snapshot.vpcs, key=lambda vpc: vpc.id) if vpc.id in have.networks
        }
        doors = sorted(leg.address for m in have.machines.values() for leg in m.legs if leg.network == "internet")
        passages = [p for p in packets.passages(self.snapshot) if {p.vpc_a, p.vpc_b} <= set(vpcs)]
        rules = packets.render(self.settings, vpcs, passages, doors)
        if rules != self._rules:
            packets.install(self.settings, rules)
            self._rules = rules

    def _reload(self, key: str) -> None:
        """HAProxy takes its new configuration; old connections are served to their end by the old worker."""
        machine = self.metal.actual().machines.get(key)
        if machine and machine.running:
            self.metal.signal(key, "SIGUSR2")

    def _notice_power_off(self, actual: Actual) -> None:
        """An instance that was switched off from inside is `stopped` for AWS too."""
        for instance in self.snapshot.instances:
            machine = actual.machines.get(instance.id)
            off = machine is not None and not machine.running and instance.state in ALIVE
            if off and self.machines.switched_itself_off(instance.id):
                log.info("%s switched itself off", instance.id)
                self.machines.is_off(instance.id)
                with self.lock:
                    cloud.stop(instance)
                self.snapshot = self._fresh()

    # what the services ask

    def instance_at(self, address: str) -> SandboxInstance | None:
        matching = [i for i in self.snapshot.instances if i.private_ip == address and i.state in ALIVE]
        return matching[0] if len(matching) == 1 else None

    def is_inside(self, address: str) -> bool:
        """Whether an address belongs to one of our networks: all that our open ports answer to."""
        return any(IPv4Address(address) in IPv4Network(network.cidr) for network in self.wanted.networks)

    def balancer_addresses(self) -> dict[str, str]:
        """By DNS name: the outer address, or the one in the VPC for an internal balancer."""
        machines = {machine.key: machine for machine in self.wanted.machines}
        addresses = {}
        for balancer in self.snapshot.balancers:
            if machine := machines.get(balancer_key(balancer)):
                legs = {leg.network: leg.address for leg in machine.legs}
                addresses[balancer.dns_name.lower()] = legs["internet" if balancer.internet_facing else balancer.vpc]
        return addresses

    def console(self, instance_id: str) -> bytes | None:
        """None for an instance that AWS does not know; one that cannot be started says why where its console would be."""
        known = {instance.id: instance for instance in self._fresh().instances}
        if instance_id not in known:
            return None
        causes = [self.machines.problems.get(key) for key in (known[instance_id].vpc, instance_id)]
        messages = "".join(f"the sandbox cannot start this instance: {cause}\n" for cause in causes if cause)
        return self.metal.console(instance_id) or messages.encode()

    def taken(self, cidr: str) -> str | None:
        """What else on this machine has addresses of `cidr`, or None."""
        other = conflicts.overlap(cidr, conflicts.taken(self.metal.client, self.settings))
        return f"{other.by} has {other.cidr}" if other else None

    def target_health(self, arn: str) -> Mapping[SandboxTarget, BackendHealth] | None:
        """None for a target group that AWS does not know."""
        snapshot = self._fresh()
        with self.lock:
            self.balancing.registry.follow(snapshot, time.monotonic())
            return self.balancing.registry.of(arn, snapshot)

    def status(self) -> dict[str, Any]:
        return {
            "name": self.settings.name,
            "pid": os.getpid(),
            "endpoint": self.settings.endpoint,
            **view(self._fresh(), self.metal.actual(), self.balancer_addresses(), self.target_health),
            "faults": vars(self.injector.faults),
            "problems": {**self.machines.problems, **self.balancing.problems},
        }
