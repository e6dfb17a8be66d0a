"""The hypervisor: the one background process of a sandbox. It answers the AWS API and makes the answers real.

Run as `python -m saltlick.sandbox.hypervisor <directory>`; `saltlick sandbox up` does.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from saltlick.errors import SaltlickError
from saltlick.sandbox import cloud, dns, http, packets, settings
from saltlick.sandbox.answers import console_output, target_health
from saltlick.sandbox.api import Api, Call
from saltlick.sandbox.balancing import Balancing
from saltlick.sandbox.cloud import Instance, Snapshot
from saltlick.sandbox.desired import ALIVE, Action, Actual, Desired, balancer_key, desired, difference
from saltlick.sandbox.faults import Weather, parse
from saltlick.sandbox.imds import MetadataService, RoleCredentials, assume_with_moto
from saltlick.sandbox.metal import Metal

log = logging.getLogger("saltlick.sandbox")
TICK_S = 1.0
AMI_ID = "ami-0d12d12d12d12d12d"
REBOOTED = 133


class Hypervisor:
    """Converges Docker to moto's models, again and again; woken after every call that may have changed them."""

    def __init__(self, config: settings.Settings, images: Mapping[str, str], metal: Metal) -> None:
        self.settings, self.images, self.metal = config, images, metal
        self.lock = threading.RLock()
        self.weather = Weather()
        self.snapshot = Snapshot()
        self.wanted = Desired(networks=(), machines=())
        self.problems: dict[str, str] = {}
        self.balancing = Balancing(config.balancers, self._reload)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._rules = ""
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="machine")
        self._busy: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self._reboots: set[str] = set()
        self._switched_on: set[str] = set()

    # the loop

    def run(self) -> None:
        """Until told to stop. An error of one round is logged, shown by `status`, and the next round tries again."""
        while not self._stop.is_set():
            self._wake.wait(TICK_S)
            self._wake.clear()
            try:
                self.converge()
                self.problems.pop("hypervisor", None)
            except Exception as error:
                log.exception("a round failed")
                self.problems["hypervisor"] = str(error)

    def converge(self) -> None:
        """One round: look at AWS, look at Docker, do what is missing."""
        self.snapshot = self._fresh()
        actual = self.metal.actual()
        self._power_off(actual)
        with self.lock:
            self.balancing.registry.follow(self.snapshot, time.monotonic())
        self.balancing.configure(self.snapshot)
        self.wanted = desired(self.snapshot, self.settings.internet, actual)
        actions = difference(self.wanted, actual)
        for action in actions:
            if action.verb in ("remove_network", "create_network"):
                self._network(action)
        self._packets(set(actual.networks))
        for action in (*actions, *self._due_reboots()):
            if action.machine:
                self._machine(action)
        self.balancing.check(self.snapshot)

    def wake(self, call: Call | None = None) -> None:
        if call and call.action == "RebootInstances":
            self._reboots |= {value for name, value in call.parameters.items() if name.startswith("InstanceId.")}
        self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()

    # the parts of a round

    def _network(self, action: Action) -> None:
        if time.monotonic() < self._retry_at.get(action.key, 0):
            return
        self._attempt(
            action, {"remove_network": self._remove_network, "create_network": self._create_network}[action.verb]
        )

    def _create_network(self, action: Action) -> None:
        if action.network:
            self.metal.create_network(action.network)

    def _remove_network(self, action: Action) -> None:
        self.metal.remove_network(action.key)

    def _packets(self, _before: set[str]) -> None:
        have = self.metal.actual()
        vpcs = sorted(key for key in have.networks if key != "internet")
        doors = sorted(leg.address for m in have.machines.values() for leg in m.legs if leg.network == "internet")
        open_passages = [p for p in packets.passages(self.snapshot) if {p.vpc_a, p.vpc_b} <= set(vpcs)]
        text = packets.render(self.settings, vpcs, open_passages, doors)
        if text != self._rules:
            packets.install(self.settings, text)
            self._rules = text

    def _due_reboots(self) -> Iterable[Action]:
        machines = {machine.key: machine for machine in self.wanted.machines}
        due, self._reboots = self._reboots, set()
        return [Action(verb="restart", key=key, machine=machines[key]) for key in due if key in machines]

    def _machine(self, action: Action) -> None:
        """Containers take seconds: each in a thread of its own, one action at a time per container."""
        if action.key in self._busy or time.monotonic() < self._retry_at.get(action.key, 0):
            if action.verb == "restart":
                self._reboots.add(action.key)
            return
        self._busy.add(action.key)
        self._workers.submit(self._work, action)

    def _work(self, action: Action) -> None:
        verbs: dict[str, Callable[[Action], None]] = {
            "create": self._create,
            "start": self._start,
            "stop": self._halt,
            "restart": lambda a: self.metal.restart(a.key),
            "remove": self._remove,
        }
        try:
            self._attempt(action, verbs[action.verb])
        finally:
            self._busy.discard(action.key)
            self._wake.set()

    def _attempt(self, action: Action, do: Callable[[Action], None]) -> None:
        started = time.monotonic()
        try:
            do(action)
        except Exception as error:
            log.exception("%s %s failed", action.verb, action.key)
            self.problems[action.key] = f"{action.verb}: {error}"
            self._retry_at[action.key] = time.monotonic() + 3
        else:
            log.info("%s %s (%.0f ms)", action.verb, action.key, (time.monotonic() - started) * 1000)
            self.problems.pop(action.key, None)

    def _create(self, action: Action) -> None:
        if action.machine:
            self.metal.create(action.machine, self.images[action.machine.kind])
            self._switched_on.add(action.key)

    def _start(self, action: Action) -> None:
        self.metal.start(action.key)
        self._switched_on.add(action.key)

    def _halt(self, action: Action) -> None:
        self._switched_on.discard(action.key)
        self.metal.stop(action.key)

    def _remove(self, action: Action) -> None:
        is_instance = action.machine is not None and action.machine.kind == "instance"
        self.metal.remove(action.key, keep_console=is_instance)
        self.balancing.forget(action.key)

    def _reload(self, key: str) -> None:
        """HAProxy takes its new configuration; old connections are served to their end by the old worker."""
        machine = self.metal.actual().machines.get(key)
        if machine and machine.running:
            self.metal.signal(key, "SIGUSR2")

    def _power_off(self, actual: Actual) -> None:
        """An instance that was switched off from inside is `stopped` for AWS too; one that rebooted starts again."""
        for instance in self.snapshot.instances:
            have = actual.machines.get(instance.id)
            off = have is not None and not have.running and instance.id in self._switched_on - self._busy
            if instance.state in ALIVE and off and self.metal.exit_code(instance.id) != REBOOTED:
                self._switched_on.discard(instance.id)
                self._stop_in_aws(instance)

    def _stop_in_aws(self, instance: Instance) -> None:
        from moto.ec2.models import ec2_backends

        log.info("instance %s switched itself off", instance.id)
        with self.lock:
            ec2_backends[instance.account][instance.region].get_instance(instance.id).stop()
            self.snapshot = cloud.read()

    # what the services ask

    def instance_at(self, address: str) -> Instance | None:
        found = [i for i in self.snapshot.instances if i.private_ip == address and i.state in ALIVE]
        return found[0] if len(found) == 1 else None

    def is_inside(self, address: str) -> bool:
        """Whether an address belongs to one of our networks: all that our open ports answer to."""
        return any(IPv4Address(address) in IPv4Network(network.cidr) for network in self.wanted.networks)

    def balancer_addresses(self) -> dict[str, str]:
        machines = {machine.key: machine for machine in self.wanted.machines}
        found = {}
        for balancer in self.snapshot.balancers:
            machine = machines.get(balancer_key(balancer))
            legs = {leg.network: leg.address for leg in machine.legs} if machine else {}
            if legs:
                found[balancer.dns_name.lower()] = legs["internet" if balancer.internet_facing else balancer.vpc]
        return found

    def console(self, instance_id: str) -> bytes | None:
        if instance_id not in {instance.id for instance in self._fresh().instances}:
            return None
        return self.metal.console(instance_id)

    def target_health(self, arn: str) -> Any:
        snapshot = self._fresh()
        with self.lock:
            self.balancing.registry.follow(snapshot, time.monotonic())
            return self.balancing.registry.of(arn, snapshot)

    def _fresh(self) -> Snapshot:
        with self.lock:
            return cloud.read()

    # status

    def status(self) -> dict[str, Any]:
        snapshot, actual = self._fresh(), self.metal.actual()
        addresses = self.balancer_addresses()
        return {
            "name": self.settings.name,
            "pid": os.getpid(),
            "endpoint": self.settings.endpoint,
            "instances": [self._instance_status(i, actual) for i in snapshot.instances],
            "balancers": [
                {
                    "name": b.name,
                    "dns_name": b.dns_name,
                    "urls": [f"http://{addresses.get(b.dns_name.lower(), '?')}:{x.port}" for x in b.listeners],
                    "targets": self._targets_status(b),
                }
                for b in snapshot.balancers
            ],
            "networks": dict(actual.networks),
            "passages": [[p.cidr_a, p.cidr_b] for p in packets.passages(snapshot)],
            "faults": vars(self.weather.faults),
            "problems": dict(self.problems),
        }

    def _instance_status(self, instance: Instance, actual: Actual) -> dict[str, Any]:
        machine = actual.machines.get(instance.id)
        return {
            "id": instance.id,
            "name": instance.name,
            "state": instance.state,
            "container": "none" if machine is None else "running" if machine.running else "stopped",
            "private_ip": instance.private_ip,
            "vpc": instance.vpc,
            "zone": instance.zone,
            "image": instance.image,
        }

    def _targets_status(self, balancer: cloud.Balancer) -> list[dict[str, Any]]:
        arns = {listener.target_group for listener in balancer.listeners if listener.target_group}
        names = {i.id: i.name for i in self.snapshot.instances}
        return [
            {"target": names.get(target.id, target.id), "port": target.port, "state": health.state}
            for arn in sorted(arns)
            for target, health in (self.balancing.registry.of(arn, self.snapshot) or {}).items()
        ]


def control(hypervisor: Hypervisor, api: http.Wsgi) -> http.Wsgi:
    """The endpoint on loopback: `/_saltlick/status` and `/_saltlick/faults` beside the AWS API."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith("/_saltlick/"):
            return api(environ, start_response)
        status, answer = "200 OK", hypervisor.status()
        if path == "/_saltlick/faults" and environ["REQUEST_METHOD"] == "POST":
            try:
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                hypervisor.weather.set(parse(json.loads(body)))
                answer = vars(hypervisor.weather.faults)
            except (SaltlickError, ValueError) as error:
                status, answer = "400 Bad Request", {"error": str(error)}
        text = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    return application


def moto_application() -> Any:
    """moto's server application, its image catalogue extended by the sandbox's own image, all else as it comes."""
    from moto.ec2.models import amis
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    model = next(ami for ami in amis.AMIS if ami.get("architecture") == "x86_64" and not ami.get("platform"))
    ours = {
        **model,
        "ami_id": AMI_ID,
        "name": "debian-12-amd64-saltlick",
        "description": "Debian 12 as the sandbox boots it",
        "owner_id": "136693071363",
        "image_location": "amazon/debian-12-amd64-saltlick",
        "root_device_name": "/dev/xvda",
        "root_device_type": "ebs",
        "creation_date": "2026-01-01T00:00:00.000Z",
    }
    amis.AMIS.append(ours)
    return DomainDispatcherApplication(create_backend_app)


def main(directory: Path) -> None:
    """Serve until SIGTERM. Leaves containers, networks and rules to `saltlick sandbox down`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    config = settings.load(directory)
    images = json.loads((directory / "images.json").read_text())
    hypervisor = Hypervisor(config, images, Metal(config))
    answers = {
        ("ec2", "GetConsoleOutput"): console_output(hypervisor.console),
        ("elasticloadbalancing", "DescribeTargetHealth"): target_health(hypervisor.target_health),
    }
    api = Api(moto_application(), hypervisor.weather, hypervisor.lock, answers, hypervisor.wake)
    hypervisor.weather.set(parse(json.loads(os.environ.get("SALTLICK_SANDBOX_FAULTS") or "{}")))
    metadata = MetadataService(hypervisor.instance_at, RoleCredentials(assume_with_moto))
    resolver = dns.Resolver(hypervisor.balancer_addresses, hypervisor.is_inside, dns.upstream())
    http.in_background(
        http.wsgi_server(control(hypervisor, api), "127.0.0.1", config.port),
        http.wsgi_server(http.internal(api, config.git_root, hypervisor.is_inside), "0.0.0.0", config.internal_port),  # noqa: S104
        http.MetadataServer(metadata, config.metadata_port),
    )
    for server in dns.servers(resolver, config.resolver_port):
        server.start_thread()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: hypervisor.stop())
    hypervisor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
