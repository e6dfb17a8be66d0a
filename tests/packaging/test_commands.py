"""What `make test` and `make demo` promise on any machine: what is skipped, what is an error, how the output ends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PYPROJECT = """
[tool.pytest.ini_options]
addopts = ["-ra", "--strict-markers", "-p", "no:cacheprovider"]
markers = ["e2e: needs a container engine"]
"""


@pytest.fixture
def project(tmp_path, checkout) -> Path:
    """A checkout of nothing but the scripts and the suite's own conftest; the tests are up to the test."""
    for name in ("tools", "tests"):
        (tmp_path / name).mkdir()
    for script in (checkout / "tools").iterdir():
        if script.is_file():
            shutil.copy2(script, tmp_path / "tools")
    shutil.copy2(checkout / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


def write(project: Path, part: str, source: str) -> None:
    folder = project / "tests" / part
    folder.mkdir(exist_ok=True)
    (folder / f"test_{part}.py").write_text(source)


def check(project: Path, *parts: str, **variables: str) -> tuple[int, list[str]]:
    """Exit code and lines of the runner of parts."""
    env = {name: value for name, value in os.environ.items() if name != "CI"} | variables
    command = [sys.executable, "-m", "tools.check", *parts]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout.rstrip().splitlines()


def test_output_ends_with_the_counts_of_all_parts(project):
    write(project, "unit", "def test_a(): pass\ndef test_b(): pass\n")
    write(project, "functional", "def test_c(): pass\n")
    code, lines = check(project, "unit", "functional")
    assert code == 0
    assert re.fullmatch(r"3 passed, 0 failed in [\d.]+s", lines[-1])


def test_a_failure_in_one_part_fails_the_whole_and_the_others_still_run(project):
    write(project, "unit", "def test_a(): assert False\n")
    write(project, "functional", "def test_c(): pass\n")
    code, lines = check(project, "unit", "functional")
    assert code == 1
    assert lines[-1].startswith("1 passed, 1 failed")


def test_a_suite_that_cannot_be_read_is_a_failure(project):
    write(project, "unit", "import there_is_no_such_module\n")
    code, lines = check(project, "unit")
    assert code == 1
    assert "1 failed" in lines[-1]


def test_nothing_at_all_is_not_a_success(project):
    code, lines = check(project, "unit")
    assert code == 1
    assert lines[-1].startswith("0 passed, 1 failed")


def test_a_part_that_collects_nothing_fails_beside_one_that_passes(project):
    write(project, "unit", "def test_a(): pass\n")
    write(project, "functional", "")
    code, lines = check(project, "unit", "functional")
    assert code == 1
    assert lines[-1].startswith("1 passed, 1 failed")
    assert any("functional" in line and "no test ran (exit code 5)" in line for line in lines)


def test_a_pytest_that_breaks_after_its_tests_is_a_failure(project):
    write(project, "unit", "def test_a(): pass\n")
    (project / "tests/unit/conftest.py").write_text("def pytest_sessionfinish(session): session.exitstatus = 3\n")
    code, lines = check(project, "unit")
    assert code == 1
    assert lines[-1].startswith("1 passed, 1 failed")


def test_the_slowest_tests_of_all_parts_are_in_one_table(project):
    test = "import time, pytest\n@pytest.mark.parametrize('n', range({count}))\ndef test_{name}(n): time.sleep({seconds})\n"
    write(project, "unit", test.format(count=8, name="quick", seconds=0.1))
    write(project, "e2e", test.format(count=2, name="skipped", seconds=9))
    write(project, "functional", test.format(count=4, name="slow", seconds=0.5))
    code, lines = check(project, "unit", "functional", "e2e", SALTLICK_NO_ENGINE="1")
    assert code == 0
    first = next(number for number, line in enumerate(lines) if "the 10 slowest tests" in line) + 1
    shown = [re.fullmatch(r" +([\d.]+) s   (\S+)", line) for line in lines[first : first + 10]]
    assert [match[2].rpartition("[")[0] for match in shown if match] == [
        *["functional/test_functional::test_slow"] * 4,
        *["unit/test_unit::test_quick"] * 6,
    ]


def test_without_an_engine_what_needs_one_is_skipped_by_name(project):
    write(project, "e2e", "def test_boots(): assert False\n")
    write(project, "unit", "def test_a(): pass\n")
    code, lines = check(project, "unit", "e2e", SALTLICK_NO_ENGINE="1")
    assert code == 0
    assert any("SKIPPED" in line and "no container engine" in line for line in lines)
    assert lines[-1].startswith("1 passed, 0 failed, 1 skipped")


def test_without_an_engine_nothing_is_skipped_in_ci(project):
    write(project, "e2e", "def test_boots(): pass\n")
    write(project, "unit", "def test_a(): pass\n")
    code, lines = check(project, "unit", "e2e", SALTLICK_NO_ENGINE="1", CI="true")
    assert code == 1
    assert lines[-1].startswith("1 passed, 1 failed")


def test_whatever_the_reason_nothing_in_containers_is_skipped_in_ci(project):
    write(project, "formulas", "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no time')\n")
    code, lines = check(project, "formulas", CI="true")
    assert code == 1
    assert lines[-1].startswith("1 passed, 1 failed")


def test_an_engine_that_cannot_be_had_is_said_in_one_line(project):
    done = subprocess.run(
        ["tools/engine.sh", "up"],
        cwd=project,
        env={**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:9", "SALTLICK_NO_ENGINE": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "nothing answers at DOCKER_HOST" in done.stderr


DOCKERD = """#!/usr/bin/env python3
import os, socket
open("/proc/self/comm", "w").write("dockerd")  # or it would be known as python3, and left alone
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["DOCKER_HOST"].removeprefix("unix://"))
listener.listen()
while True:
    caller, _ = listener.accept()
    caller.recv(4096)
    caller.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nOK")
    caller.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the daemon is started as root")
def test_starting_the_engine_returns_to_whoever_reads_what_it_says(project, tmp_path):
    """Once the shell around the daemon kept the pipe open: the tests and the demo waited for its end, which never came."""
    program = tmp_path / "bin" / "dockerd"
    program.parent.mkdir()
    program.write_text(DOCKERD)
    program.chmod(0o755)
    settings = {"PATH": f"{program.parent}:{os.environ['PATH']}", "DOCKER_HOST": f"unix://{tmp_path}/engine.sock"}
    how = {"cwd": project, "env": {**os.environ, **settings, "SALTLICK_NO_ENGINE": ""}, "timeout": 60, "check": True}
    try:
        told = subprocess.run(["tools/engine.sh", "up"], capture_output=True, text=True, **how)
        assert "starting dockerd" in told.stderr
    finally:
        pid = int((project / ".saltlick/engine/dockerd.pid").read_text())
        subprocess.run(["tools/engine.sh", "down"], **how)
    assert not Path(f"/proc/{pid}").exists(), "what was started is stopped again"


def test_what_was_said_before_stays_in_a_log_file(project):
    """Opened by its name, a standard error that is a file would be emptied."""
    write(project, "e2e", "def test_boots(): pass\n")
    log = project / "ci.log"
    with log.open("w") as out:
        out.write("before\n")
        out.flush()
        settings = {**os.environ, "SALTLICK_NO_ENGINE": "1", "CI": "true", "VENV": "nowhere"}
        (project / "tools" / "setup.sh").write_text("#!/bin/sh\n")
        subprocess.run(["tools/test.sh", "e2e"], cwd=project, env=settings, stdout=out, stderr=out, check=False)
    said = log.read_text()
    assert said.startswith("before\n")
    assert "under CI=true a container engine is required" in said


def test_stopping_the_engine_leaves_one_that_is_not_ours(project):
    """The pid on file belongs to somebody else by now: this very test."""
    state = project / ".saltlick" / "engine"
    state.mkdir(parents=True)
    (state / "dockerd.pid").write_text(str(os.getpid()))
    subprocess.run(["tools/engine.sh", "down"], cwd=project, check=True, timeout=60)


def test_readme_says_exactly_two_commands(checkout):
    first = re.search(r"```bash\n(.*?)```", (checkout / "README.md").read_text("utf-8"), re.DOTALL)
    assert first
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == ["make demo", "make test"]


def test_make_says_what_it_can_do(checkout):
    told = subprocess.run(["make", "help"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"make ([a-z0-9-]+)", told))
    assert {"demo", "test", "test-3006", "lint", "bench", "docs", "clean", "help"} <= targets


def test_ci_is_make_test_where_nothing_may_be_skipped(checkout):
    script = (checkout / ".ci" / "run").read_text("utf-8")
    assert "export CI=true" in script
    assert re.search(r"^exec make .*test$", script, re.MULTILINE)
    assert os.access(checkout / ".ci" / "run", os.X_OK)
