"""The demo where no container can run: the commands an operator types, on the embedded AWS, to its end."""

from __future__ import annotations

import os
import subprocess
import sys

from salt.config import master_config

from saltlick.demo.embedded import Master


def test_embedded_demo_builds_rechecks_changes_and_mends(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "saltlick.demo"],
        cwd=tmp_path,
        env={**os.environ, "SALTLICK_NO_ENGINE": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout
    assert "no container engine" in told
    story = [
        "plan of an empty account",
        "a second run changes nothing",
        "plan of the edits",
        "put it right",
        "the tour",
    ]
    assert [told.index(line) for line in story] == sorted(told.index(line) for line in story)
    for line in ("instance/app-3", "51821", "6379", "0.0.0.0/0"):  # each environment's edit, and the hand's work
        assert line in told, f"{line!r} is not in:\n{told}"
    assert told.count("try: ") == 3


def test_the_demos_bus_is_where_salt_looks_for_it(tmp_path):
    """Salt moves a folder for sockets whose path it finds too long, and then looks in vain for two seconds per command."""
    deep = tmp_path / ("a" * 60)
    master = Master(deep)
    master.prepare()
    assert master_config(str(deep / "master"))["sock_dir"] == str(master.sock_dir)
