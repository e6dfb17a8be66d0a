"""`release.rolling` on the environment that the orchestration built, with visitors all the while: not one request fails."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from e2e.estate import MASTER, deploy, page_url
from e2e.revisions import Revisions

from bench.load import Crowd, Visits, visitors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from saltlick.sandbox.control import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

APPS = ("test-app-1", "test-app-2")
CROWD = Crowd(pause_s=0.14)
"""Some 55 requests a second: thousands in each release, and processors left for what they are about."""
PILLAR = "/srv/saltlick/pillar"
JOURNAL = "/var/cache/salt/master/saltlick/saltlick.sqlite"
KILLER = """
import sqlite3, subprocess, sys, time
journal, phase = sqlite3.connect(sys.argv[1]), sys.argv[2]
deadline = time.monotonic() + 240
while not journal.execute("select 1 from release_steps where phase = ? and ended is null", [phase]).fetchone():
    assert time.monotonic() < deadline, f"no {phase} under way"
    time.sleep(0.005)
subprocess.run(["pkill", "--signal=KILL", "--full", "bin/[s]alt-run release"], check=True)
"""
ONCE = """
  once:
    - call: cmd.run_all
      name: migration
      kwargs: {cmd: 'test ! -e migrate.sh || sh migrate.sh', cwd: '{release}', runas: '{user}'}
"""


@dataclass
class Site:
    """`test` with its revisions, and a crowd in front of it."""

    sandbox: Sandbox
    url: str
    sha: dict[str, str]
    visits: Visits

    def run(self, *command: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        return self.sandbox.run(MASTER, ["salt-run", *command], timeout_s=timeout_s)

    def release(self, command: str, *arguments: str) -> dict[str, Any]:
        """`salt-run release.<command> test …`: its answer, with its exit code as `code`."""
        done = self.run(f"release.{command}", "test", *arguments, "--out=json")
        assert done.stdout.startswith("{"), (done.stdout, done.stderr)
        return {**json.loads(done.stdout), "code": done.returncode, "said": done.stderr}

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """`salt-run release.… …`, not waited for."""
        line = ["docker", "exec", self.sandbox.container(MASTER), "salt-run", f"release.{command}", *arguments]
        return subprocess.Popen([*line, "--out=json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def current(self) -> dict[str, str]:
        """The revision each server runs, as the server itself says it."""
        return {name: self.sandbox.run(name, ["cat", "/srv/app/current/REVISION"]).stdout.strip() for name in APPS}

    def serving(self) -> dict[str, str]:
        """The revision that answers through the balancer, by server; asked until both have answered."""
        deadline = time.monotonic() + 120
        seen: dict[str, str] = {}
        while seen.keys() != set(APPS) and time.monotonic() < deadline:
            seen |= {visit.server: visit.revision for visit in self.visits.visits[-20:] if not visit.failed}
            time.sleep(0.2)
        return seen

    def all_on(self, branch: str) -> None:
        """Every server is on that revision and in traffic, and no visitor was turned away."""
        assert self.current() == dict.fromkeys(APPS, self.sha[branch])
        time.sleep(1)
        assert self.serving() == dict.fromkeys(APPS, self.sha[branch])
        assert not self.visits.failed, self.visits.failed[:5]
        locked = self.run("environment.locked", "test", "--out=json")
        assert json.loads(locked.stdout)["locked"] == {"test": None}


@pytest.fixture(scope="module")
def site(sandbox: Sandbox, built: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """On `main`, visited from the first release to the last."""
    sha = Revisions(sandbox, tmp_path_factory.mktemp("revisions")).publish()
    url = page_url(sandbox)
    with visitors(url, CROWD) as visits:
        yield Site(sandbox, url, sha, visits)


@pytest.fixture
def on_main(site: Site) -> Site:
    """Every server on `main`, whatever the test before left."""
    if site.current() != dict.fromkeys(APPS, site.sha["main"]):
        done = site.release("rolling", "rev=main")
        assert done["code"] == 0, done
    site.all_on("main")
    return site


def eventually(look: Callable[[], Any], what: str, timeout_s: float = 300) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not seen in {timeout_s:.0f} s: {what}"
        time.sleep(0.2)
    return seen


def test_forward_back_and_the_same_again(on_main: Site) -> None:
    site = on_main
    before = len(site.visits.visits)
    done = site.release("rolling", "rev=second", "message=a nicer page")
    assert (done["code"], done["outcome"]) == (0, "done"), done
    site.all_on("second")
    assert len(site.visits.visits) - before > 1000, site.visits.summary()

    again = site.release("rolling", "rev=second")
    assert (again["code"], again["outcome"]) == (0, "unchanged")

    back = site.release("rollback")
    assert (back["code"], back["outcome"]) == (0, "done"), back
    site.all_on("main")

    page = site.sandbox.run(MASTER, ["cat", done["page"]]).stdout
    assert site.sha["second"][:7] in page
    assert "a nicer page" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace(site.url, "") or "src=" not in page


@pytest.mark.parametrize(
    ("branch", "why"),
    [
        ("does-not-build", "no-such-package-of-saltlick"),
        ("does-not-start", "start app"),
        ("answers-500", "500"),
        ("answers-late", "not healthy"),
    ],
)
def test_a_bad_revision_goes_back(on_main: Site, branch: str, why: str) -> None:
    done = on_main.release("rolling", f"rev={branch}")
    assert (done["code"], done["outcome"]) == (5, "rolled back"), done
    assert why in done["error"]
    on_main.all_on("main")


def test_one_that_is_well_and_refuses_its_visitors_goes_back_after_one_server(on_main: Site) -> None:
    """Its health checks pass, and each page is an error: only the visitors see it, and the log of requests."""
    before = len(on_main.visits.visits)
    done = on_main.release("rolling", "rev=refuses-visitors")
    assert (done["code"], done["outcome"]) == (5, "rolled back"), done
    assert re.search(
        r"test-app-1: back in traffic, and then \d+ of \d+ requests were answered with an error \(5xx\)", done["error"]
    )
    assert "test-app-2" not in done["error"]
    visits = on_main.visits.visits[before:]
    refused = [visit for visit in visits if visit.failed]
    assert {visit.status for visit in refused} == {500}
    assert len(refused) < len(visits) / 3, on_main.visits.summary()
    on_main.visits.visits.clear()
    on_main.all_on("main")


def test_one_that_dies_in_its_once_step_goes_back(on_main: Site) -> None:
    site = on_main
    common, own = f"{PILLAR}/common/release.sls", f"{PILLAR}/test/release.sls"
    site.sandbox.run(MASTER, ["sh", "-c", f"cp {common} {own} && cat >>{own} <<'SLS'\n{ONCE}SLS"])
    try:
        done = site.release("rolling", "rev=dies-once")
    finally:
        site.sandbox.run(MASTER, ["rm", own])
    assert (done["code"], done["outcome"]) == (5, "rolled back"), done
    assert "migration" in done["error"]
    site.all_on("main")


def test_a_server_that_falls_silent_is_left_out_and_named_and_the_rest_goes_back(on_main: Site) -> None:
    site = on_main
    release = site.start("rolling", "test", "rev=second")
    first = eventually(lambda: touched(site), "a server out of traffic")
    site.sandbox.run(first, ["systemctl", "kill", "--signal=KILL", "salt-minion"])
    site.sandbox.run(first, ["systemctl", "stop", "salt-minion"])
    out, errors = release.communicate(timeout=600)
    done = json.loads(out)
    assert release.returncode in (5, 6), (out, errors)
    assert first in done["error"]
    assert done["servers"][first]["in_traffic"] is False
    other = next(name for name in APPS if name != first)
    assert site.current()[other] == site.sha["main"]
    assert not site.visits.failed, site.visits.failed[:5]

    site.sandbox.run(first, ["systemctl", "start", "salt-minion"])
    eventually(lambda: first in site.run("manage.up", "--out=json").stdout, "the minion is back")
    assert any("salt-run release.resume test" in sentence for sentence in done["next"]), done
    back = site.release("resume")
    assert (back["code"], back["outcome"]) == (5, "rolled back"), back
    site.all_on("main")


def test_killed_at_five_moments_it_is_taken_up_again(on_main: Site) -> None:
    """SIGKILL to the runner while it builds; to the one that takes it up while it drains; and so on."""
    site = on_main
    command: tuple[str, ...] = ("rolling", "test", "rev=third")
    for moment in ("build", "drain", "activate", "health", "restore"):
        runner = site.start(*command)
        killed = site.sandbox.run(MASTER, ["python3", "-c", KILLER, JOURNAL, moment])
        assert killed.returncode == 0, killed.stderr
        assert runner.wait(60) != 0
        refused = site.release("rolling", "rev=second")
        assert refused["code"] == 3, refused
        assert "release.resume" in refused["error"]
        command = ("resume", "test")
    done = site.release("resume")
    assert (done["code"], done["outcome"]) == (0, "done"), done
    site.all_on("third")


def test_two_at_once_and_during_a_deployment(on_main: Site) -> None:
    site = on_main
    release = site.start("rolling", "test", "rev=second")
    eventually(lambda: begun(site), "a step under way")
    second = site.start("rolling", "test", "rev=third")
    during = site.run("state.orchestrate", "orch.deploy-environment", "pillarenv=test", "--out=json")
    assert during.returncode != 0
    assert "is locked by" in during.stdout
    refused = json.loads(second.communicate(timeout=120)[0])
    assert second.returncode == 3, refused
    assert "second" in refused["error"]
    assert release.wait(300) == 0
    site.all_on("second")

    deploy(site.sandbox)
    site.all_on("second")


def begun(site: Site) -> bool:
    return bool(under_way(site, "%"))


def under_way(site: Site, phase: str) -> list[str]:
    """Servers (or `-`) with a step of a phase like that which has begun and not ended."""
    query = f"select server from release_steps where phase like '{phase}' and ended is null"
    script = f"import sqlite3; print(*[row[0] or '-' for row in sqlite3.connect('{JOURNAL}').execute({query!r})])"
    done = site.sandbox.run(MASTER, ["python3", "-c", script])
    return done.stdout.split()


def touched(site: Site) -> str:
    """A server whose stop has begun: it is out of traffic."""
    return next(iter(under_way(site, "stop") or under_way(site, "activate") or under_way(site, "health")), "")
