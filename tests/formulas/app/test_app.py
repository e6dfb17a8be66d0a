"""The application under supervisord: layout, user, environment."""

import json

import pytest

pytestmark = pytest.mark.e2e


def test_current_is_a_release_named_by_its_revision(host):
    current = host.file("/srv/app/current").linked_to
    revision = host.file("/srv/app/current/REVISION").content_string.strip()
    assert current == f"/srv/app/releases/{revision}"
    assert revision == host.check_output("git -C /srv/git/app rev-parse main")


def test_the_release_has_its_own_packages(host):
    found = host.check_output("/srv/app/current/.venv/bin/python -c 'import waitress; print(waitress.__file__)'")
    assert found.startswith("/srv/app/current/.venv/")


def test_the_application_cannot_change_how_it_is_started(host):
    for path in ("/srv/app", "/srv/app/bin", "/srv/app/bin/start-instance", "/srv/app/bin/build-release"):
        assert host.file(path).user == "root"
        assert not host.file(path).mode & 0o022
    assert host.run("runuser -u app -- touch /srv/app/bin/x /srv/app/x").rc != 0


def test_one_instance_for_this_server_only(host):
    assert host.socket("tcp://127.0.0.1:9001").is_listening
    assert not host.socket("tcp://0.0.0.0:9001").is_listening
    assert not host.socket("tcp://127.0.0.1:9002").is_listening


def test_the_instance_runs_as_the_applications_user_from_the_release_itself(host):
    pid = host.check_output("supervisorctl pid app:app-9001")
    assert host.check_output("stat -c %%U /proc/%s", pid) == "app"
    assert host.check_output("runuser -u app -- readlink /proc/%s/cwd", pid) == host.file("/srv/app/current").linked_to


def test_says_who_it_is(host):
    revision = host.check_output("git -C /srv/git/app rev-parse main")
    answer = json.loads(host.check_output("curl -s -H 'X-Request-Id: who' http://127.0.0.1:9001/"))
    assert answer == {"server": "app-1", "instance": "app-9001", "revision": revision, "request_id": "who"}


def test_a_browser_gets_a_page(host):
    page = host.check_output("curl -s -H 'Accept: text/html' -H 'X-Request-Id: <b>' http://127.0.0.1:9001/")
    assert page.startswith("<!doctype html>")
    assert "<h1>app-1</h1>" in page
    assert "&lt;b&gt;" in page


def test_environment_of_pillar_arrives_unchanged(host):
    pid = host.check_output("supervisorctl pid app:app-9001")
    assert "GREETING=it's 100% salt" in host.check_output("tr '\\000' '\\n' < /proc/%s/environ", pid).splitlines()


def test_what_may_hold_secrets_is_not_for_everybody(host):
    script = host.file("/srv/app/bin/start-instance")
    assert (script.user, script.group, script.mode) == ("root", "app", 0o750)


def test_logs_requests_with_their_id(host):
    host.check_output("curl -s -H 'X-Request-Id: logged-1' http://127.0.0.1:9001/somewhere?x=1")
    lines = [line for line in host.file("/var/log/app/app-9001.log").content_string.splitlines() if "logged-1" in line]
    found = json.loads(lines[-1])
    assert (found["hop"], found["uri"], found["status"]) == ("app", "/somewhere?x=1", "404")


def test_an_instance_that_died_comes_back(host):
    before = host.check_output("supervisorctl pid app:app-9001")
    host.check_output("kill -9 %s", before)
    host.check_output("curl -s --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:9001/health")
    assert host.check_output("supervisorctl pid app:app-9001") != before


def test_a_highstate_starts_what_was_stopped(server, host):
    host.check_output("supervisorctl stop app:*")
    states = server.apply()
    assert [name.split()[0] for name, state in states.items() if state["changes"]] == ["app-service-running"]
    assert host.check_output("supervisorctl status app:*").split()[1] == "RUNNING"


def test_a_server_without_a_release_gets_what_the_others_run_and_not_what_is_newest(server, host):
    """`released` is what orch.deploy-environment gives a highstate."""
    newest = host.check_output("git -C /srv/git/app rev-parse main")
    released = host.check_output("git -C /srv/git/app rev-parse next")
    host.check_output("rm -rf /srv/app/current /srv/app/releases/*")
    server.apply(released={"app": released})
    answer = json.loads(
        host.check_output("curl -s --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:9001/")
    )
    assert (answer["revision"], released != newest) == (released, True)
    assert host.file("/srv/app/current").linked_to == f"/srv/app/releases/{released}"
