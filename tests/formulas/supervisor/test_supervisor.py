"""supervisord with nothing to run yet."""

import pytest

pytestmark = pytest.mark.e2e


def test_service(host):
    assert host.service("supervisor").is_running
    assert host.service("supervisor").is_enabled


def test_runs_and_stops_a_program_that_is_added(server, host):
    server.write("/etc/supervisor/conf.d/test.conf", "[program:test]\ncommand=sleep 1000\nstartsecs=1\n")
    assert "test: added process group" in host.check_output("supervisorctl update")
    host.check_output(
        "for i in $(seq 60); do supervisorctl status test | grep -q RUNNING && exit 0; sleep 0.5; done; exit 1"
    )
    server.run("rm /etc/supervisor/conf.d/test.conf")
    assert "test: removed process group" in host.check_output("supervisorctl update")


def test_only_root_commands_it(host):
    assert host.file("/run/supervisor.sock").mode == 0o700
