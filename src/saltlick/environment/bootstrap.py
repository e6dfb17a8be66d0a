"""`saltlick bootstrap`: the control environment and its Salt master, where there is neither yet. Needs no Salt.

    read the pillar → who are we on AWS → plan → apply → wait until the master says on its console that it is ready

Again = no change. Another machine can do it as well: AWS is the state.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from saltlick.engine import render
from saltlick.engine.apply import Watcher
from saltlick.engine.plan import Plan
from saltlick.engine.ports import Cloud
from saltlick.engine.resource import Kind
from saltlick.engine.wait import until
from saltlick.environment import console, provision
from saltlick.environment.console import ConsoleInstance, Consoles
from saltlick.environment.pillar import Environment, check_environment, declared_servers, expand_environment
from saltlick.environment.pillar.boot import Boot
from saltlick.environment.pillar.exposed import exposed_master, insecure_on_aws
from saltlick.environment.pillar.servers import BootAs
from saltlick.environment.pillarfile import read_environment
from saltlick.environment.provision import Estate
from saltlick.errors import AwsError, InvalidInput, Problem, ServerFailed, WaitTimeout

REFUSED_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "ProfileNotFound",
        "TokenRetrievalError",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)

FORGOTTEN_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Control:
    """The control environment as its pillar says, ready to be planned."""

    environment: Environment
    estate: Estate

    @property
    def masters(self) -> tuple[str, ...]:
        return tuple(server.name for server in declared_servers(self.environment) if server.boot is BootAs.MASTER)


def control(
    pillar: Path, kinds: Mapping[str, Kind], *, name: str = "control", repository: str = "", revision: str = ""
) -> Control:
    """Read the pillar of the control environment and its peers from a folder. Asks AWS nothing.

    Raises: InvalidInput with every problem.
    """
    environment = read_environment(pillar, name)
    peers = {peer: read_environment(pillar, peer) for peer in environment.peers}
    check_environment(environment, peers)
    if problems := exposed_master(environment, repository):
        raise InvalidInput(problems, what=f"pillar of {name}")
    boot = Boot(master_finger="", repository=repository, revision=revision)
    control_environment = Control(
        environment=environment,
        estate=Estate(
            environments=(name,),
            region=environment.region,
            resources=expand_environment(environment, peers, boot),
            peers=tuple(peers),
            deadlines=dict.fromkeys(kinds, float(environment.deadlines.resource_s)),
        ),
    )
    if not control_environment.masters:
        raise InvalidInput([Problem("environment.servers", "no group has `boot: master`")], what=f"pillar of {name}")
    return control_environment


def require_no_exception(control: Control, *, emulated: bool) -> None:
    """`insecure` is for a sandbox. Raises: InvalidInput when this is AWS itself."""
    if problems := insecure_on_aws(control.environment, emulated):
        raise InvalidInput(problems, what=f"pillar of {control.environment.name}")


def require_credentials(cloud: Cloud) -> str:
    """The AWS account that we work in.

    Raises: InvalidInput when there are no credentials, or AWS does not take them.
    Source: STS GetCallerIdentity, which every principal may call.
    """
    try:
        return str(cloud.call("sts", "get_caller_identity")["Account"])
    except AwsError as error:
        if error.code not in REFUSED_CREDENTIALS:
            raise
        hint = "give some for this one command, from a secret store: `aws-vault exec ops -- saltlick bootstrap`"
        raise InvalidInput([f"{error}", hint], what="AWS credentials") from error


def build(control: Control, plan: Plan, cloud: Cloud, kinds: Mapping[str, Kind], watch: Watcher) -> str:
    """Carry out the plan; returns its summary in a line.

    Raises: ApplyFailed naming everything that failed, AwsError.
    """
    report = provision.apply(plan, cloud, kinds, watch=watch, deadlines=control.estate.deadlines)
    report.require_success()
    return render.report_text(report)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Waits for a master's own word, on its console, that it is up."""

    consoles: Consoles
    notify: Callable[[str], None] = lambda _: None
    today: Callable[[], datetime] = lambda: datetime.now(timezone.utc)

    def masters(self, control: Control, *, deadline_s: float) -> tuple[ConsoleInstance, ...]:
        """The masters' instances once all are up.

        Raises: ServerFailed with the last console lines of one that fails or is not up in time; AwsError.
        """
        return tuple(self._master(control, name, deadline_s) for name in control.masters)

    def _master(self, control: Control, name: str, deadline_s: float) -> ConsoleInstance:
        instance = self._instance(control, name)
        if self._is_old(instance) and not console.failure(self.consoles.output(instance.id)):
            return instance
        reported = ""

        def look() -> str:
            nonlocal reported
            output = self.consoles.output(instance.id)
            progress = console.progress(output)
            if progress and progress[-1] != reported:
                reported = progress[-1]
                self.notify(f"  {name}: {reported}")
            return output

        try:
            output = until(
                look,
                lambda output: console.master_ready(output) or bool(console.failure(output)),
                what=f"{name} is ready",
                describe=lambda output: "\n".join(console.last_lines(output)) or "an empty console",
                deadline_s=deadline_s,
                clock=self.consoles.cloud.clock,
            )
        except WaitTimeout as error:
            raise ServerFailed(_words(name, instance, f"is not up after {error.waited_s:.0f} s", error.last)) from error
        if problem := console.failure(output):
            lines = "\n".join(console.last_lines(output, 16))
            raise ServerFailed(_words(name, instance, f"first boot failed: {problem}", lines))
        return instance

    def _instance(self, control: Control, name: str) -> ConsoleInstance:
        for instance in self.consoles.instances():
            if instance.name == name and instance.environment == control.environment.name:
                return instance
        raise ServerFailed(f"{name}: AWS shows no instance of that name, though it was built just now; run it again")

    def _is_old(self, instance: ConsoleInstance) -> bool:
        """Whether its first boot is so long ago that its console need not show it any more (AWS keeps the last 64 KB)."""
        return instance.launched is not None and (self.today() - instance.launched).total_seconds() > FORGOTTEN_S


def _words(name: str, instance: ConsoleInstance, what: str, lines: str) -> str:
    shown = "\n".join(f"  | {line}" for line in lines.splitlines())
    way_on = f"`saltlick bootstrap` again waits on; `aws ec2 get-console-output --instance-id {instance.id}` has it all"
    return f"{name} ({instance.id}): {what}\n{shown}\n{way_on}"


def next_steps(control: Control, instances: tuple[ConsoleInstance, ...], others: tuple[str, ...]) -> str:
    """What to do now, for a person."""
    which = others[0] if others else "prod"
    where = "\n".join(
        f"  {instance.name}  {instance.id}  {instance.public_ip or instance.private_ip}" for instance in instances
    )
    shell = f"saltlick sandbox shell {instances[0].name} -- " if os.environ.get("AWS_ENDPOINT_URL") else ""
    return (
        f"The master of {control.environment.region} is up:\n{where}\n"
        "Next, on the master (the first one gives the master its own roles):\n"
        f"  {shell}salt-run state.orchestrate orch.deploy-environment pillarenv={control.environment.name}\n"
        f"  {shell}salt-run environment.plan {which}\n"
        f"  {shell}salt-run state.orchestrate orch.deploy-environment pillarenv={which}"
    )
