"""`saltlick bootstrap` without AWS: what it reads, what it waits for, what it says; and the scripts it boots servers with."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.cloud import FakeCloud

from saltlick import tree
from saltlick.cli import main
from saltlick.environment import bootstrap
from saltlick.environment.console import Consoles
from saltlick.environment.pillar.boot import LIMIT_BYTES
from saltlick.environment.pillarfile import environments, read_environment
from saltlick.errors import AwsError, InvalidInput, ServerFailed
from saltlick.kinds import KINDS

PILLAR = Path(__file__).resolve().parents[3] / "pillar"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def control():
    return bootstrap.control(PILLAR, KINDS)


def test_reads_the_reference_estate_without_salt(control):
    assert control.masters == ("salt-master",)
    assert control.estate.environments == ("control",)
    assert "control" in environments(PILLAR)
    assert read_environment(PILLAR, "prod").name == "prod"


def test_an_environment_that_is_not_there_is_named_with_those_that_are(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test/environment.sls").write_text("{}")
    with pytest.raises(InvalidInput, match=r"for control in .*there are: test"):
        bootstrap.control(tmp_path, KINDS)


@pytest.mark.parametrize(
    ("text", "said"),
    [("environment: {{ nobody.knows }}", "nobody"), ("environment: [", "parsing"), ("- a", "no mapping")],
)
def test_a_pillar_that_does_not_render_says_which_file(tmp_path, text, said):
    (tmp_path / "control").mkdir()
    (tmp_path / "control/environment.sls").write_text(text)
    with pytest.raises(InvalidInput, match=rf"(?s)control/environment.sls.*{said}"):
        read_environment(tmp_path, "control")


def test_a_control_without_a_master_is_refused(tmp_path):
    (tmp_path / "control").mkdir()
    text = (PILLAR / "control/environment.sls").read_text().replace("boot: master", "boot: none")
    (tmp_path / "control/environment.sls").write_text(text)
    with pytest.raises(InvalidInput, match="boot: master"):
        bootstrap.control(tmp_path, KINDS)


@dataclass
class MasterCloud(FakeCloud):
    """One instance whose console says one thing after the other."""

    consoles: list[str] = field(default_factory=lambda: [""])
    age_s: float = 5
    refuses: str = ""

    def read(self, service: str, operation: str, key: str, /, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
        tags = {
            "Name": "salt-master",
            "saltlick:environment": "control",
            "saltlick:address": "instance/salt-master",
        }
        listed = [{"Key": name, "Value": value} for name, value in tags.items()]
        launched = NOW - timedelta(seconds=self.age_s)
        instance = {"InstanceId": "i-1", "State": {"Name": "running"}, "LaunchTime": launched, "Tags": listed}
        return ({"Instances": [{**instance, "PublicIpAddress": "192.0.2.7"}]},)

    def call(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        if operation == "get_caller_identity":
            if self.refuses:
                raise AwsError(operation, self.refuses, "no")
            return {"Account": "123456789012"}
        return {"Output": self.consoles.pop(0) if len(self.consoles) > 1 else self.consoles[0]}


def wait(cloud: MasterCloud, lines: list[str] | None = None) -> bootstrap.Wait:
    return bootstrap.Wait(
        consoles=Consoles(cloud), notify=(lines if lines is not None else []).append, today=lambda: NOW
    )


def test_waits_for_the_masters_own_word_and_tells_each_step_once(control):
    lines: list[str] = []
    cloud = MasterCloud(
        ["", "saltlick: installing Salt", "saltlick: installing Salt", "x\nsaltlick: master ready\r\nlogin:"]
    )
    [master] = wait(cloud, lines).masters(control, deadline_s=60)
    assert master.public_ip == "192.0.2.7"
    assert lines == ["  salt-master: installing Salt", "  salt-master: master ready"]
    steps = bootstrap.next_steps(control, (master,), ("prod", "test"))
    assert "192.0.2.7" in steps
    for environment in ("control", "prod"):
        assert f"salt-run state.orchestrate orch.deploy-environment pillarenv={environment}\n" in f"{steps}\n"


def test_a_master_that_is_not_up_in_time_is_named_with_its_last_console_lines(control):
    cloud = MasterCloud(["kernel panic"])
    with pytest.raises(ServerFailed, match=r"(?s)salt-master \(i-1\): is not up after 20 s.*\| kernel panic"):
        wait(cloud).masters(control, deadline_s=20)


def test_a_first_boot_that_failed_ends_the_wait_at_once(control):
    cloud = MasterCloud(["saltlick: FAILED: fetching main of the project (exit 128); the whole log is /x"])
    with pytest.raises(ServerFailed, match="first boot failed: FAILED: fetching main"):
        wait(cloud).masters(control, deadline_s=600)
    assert cloud.clock.time_s < 1


def test_a_master_whose_first_boot_is_long_ago_need_not_show_it_any_more(control):
    [master] = wait(MasterCloud([""], age_s=86400)).masters(control, deadline_s=20)
    assert master.id == "i-1"


@pytest.mark.parametrize("code", ["NoCredentialsError", "ExpiredToken", "InvalidClientTokenId"])
def test_missing_or_refused_credentials_are_the_operators_to_mend(code):
    with pytest.raises(InvalidInput, match=code) as refused:
        bootstrap.require_credentials(MasterCloud(refuses=code))
    assert refused.value.exit_code == 2


def test_another_refusal_stays_awss_own():
    with pytest.raises(AwsError):
        bootstrap.require_credentials(MasterCloud(refuses="InternalFailure"))


@pytest.mark.parametrize(("command", "shows"), [("schema", '"$schema"'), ("iam-policy", '"ec2:RunInstances"')])
def test_commands_for_editors_and_administrators_print_json(command, shows):
    done = CliRunner().invoke(main, [command])
    assert done.exit_code == 0
    assert shows in done.output


def script(control, server: str = "instance/salt-master") -> str:
    [instance] = [resource for resource in control.estate.resources if resource.key.address == server]
    return str(instance.properties.user_data)


def test_user_data_is_a_posix_script_well_within_the_limit(control, tmp_path):
    text = script(control)
    assert len(text.encode()) < LIMIT_BYTES * 0.8, "leave room for what operators add"
    (tmp_path / "script").write_text(text)
    done = subprocess.run(["sh", "-n", tmp_path / "script"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert text.startswith("#!/bin/sh\n")
    assert "{{" not in text


def test_the_master_accepts_nobody_by_itself_and_serves_no_pillar(control):
    text = script(control)
    for setting in ("auto_accept: false", "open_mode: false", "file_roots: {base: [$CHECKOUT/salt]}"):
        assert setting in text


@pytest.mark.parametrize(
    ("release", "family"),
    [
        ("ID=debian", "debian"),
        ("ID=ubuntu\nID_LIKE=debian", "debian"),
        ('ID="amzn"\nID_LIKE="fedora"', "redhat"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "redhat"),
        ("ID=alpine", ""),
    ],
)
def test_the_family_is_known_at_boot(tmp_path, release, family):
    (tmp_path / "os-release").write_text(release + "\n")
    library = tree.folder("bootstrap") / "install-salt.sh"
    source = library.read_text().replace("/etc/os-release", str(tmp_path / "os-release"))
    (tmp_path / "library").write_text(source)
    command = f"SALTLICK_LIBRARY=1; . {tmp_path}/library; family"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == family
    assert (done.returncode == 0) is bool(family)


def test_a_failing_script_says_on_the_console_where_and_hides_credentials(tmp_path):
    library = tree.folder("bootstrap") / "install-salt.sh"
    source = library.read_text().replace(">/dev/console", f">>{tmp_path}/console")
    (tmp_path / "library").write_text(source.replace("LOG=/var/log/saltlick-bootstrap.log", f"LOG={tmp_path}/log"))
    run = 'trap on_exit EXIT; exec >>"$LOG" 2>&1; step "fetching it"; echo "cloning https://ann:secret@git/x"; exit 9'
    done = subprocess.run(["sh", "-c", f"SALTLICK_LIBRARY=1; . {tmp_path}/library; {run}"], check=False)
    console = (tmp_path / "console").read_text()
    assert done.returncode == 9
    assert "saltlick: FAILED: fetching it (exit 9)" in console
    assert "secret" not in console
    assert "cloning https://git/x" in console
