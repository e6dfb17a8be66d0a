"""Names that only the sandbox answers, and repositories with SHAs that stay."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from saltlick.errors import InvalidInput
from saltlick.sandbox import dns, git
from saltlick.sandbox.settings import Settings, load

BALANCERS = {"www-1.us-east-1.elb.amazonaws.com": "198.51.100.10"}


@pytest.mark.parametrize(
    ("name", "address", "ours"),
    [
        ("WWW-1.us-east-1.elb.amazonaws.com.", "198.51.100.10", True),
        ("other.us-east-1.elb.amazonaws.com.", None, True),
        ("aws.saltlick.internal.", "169.254.169.252", True),
        ("git.saltlick.internal.", "169.254.169.252", True),
        ("nothing.saltlick.internal.", None, True),
        ("ip-10-1-0-4.ec2.internal.", "10.1.0.4", True),
        ("ip-10-1-0-4.eu-west-1.compute.internal.", "10.1.0.4", True),
        ("deb.debian.org.", None, False),
    ],
)
def test_names(name: str, address: str | None, ours: bool) -> None:
    assert (dns.resolve(name, BALANCERS), dns.ours(name)) == (address, ours)


def run(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def test_a_folder_is_published_with_a_sha_that_follows_its_content(tmp_path: Path) -> None:
    source = tmp_path / "app"
    source.mkdir()
    (source / "app.py").write_text("one")
    first = git.publish(tmp_path / "a", "app", source)
    assert git.publish(tmp_path / "b", "app", source) == first
    assert git.publish(tmp_path / "a", "app", source) == first
    (source / "app.py").write_text("two")
    second = git.publish(tmp_path / "a", "app", source)
    bare = tmp_path / "a/app.git"
    assert run("git", "show", f"{second}:app.py", cwd=bare) == "two"
    assert run("git", "rev-parse", f"{second}^", cwd=bare) == first
    assert (bare / "info/refs").read_text().startswith(second)


def test_a_checkout_is_published_as_committed(tmp_path: Path) -> None:
    source = tmp_path / "project"
    source.mkdir()
    run("git", "init", "-q", "-b", "topic", cwd=source)
    (source / "file").write_text("committed")
    run("git", "add", ".", cwd=source)
    run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x", cwd=source)
    head = run("git", "rev-parse", "HEAD", cwd=source)
    assert not git.dirty(source)
    (source / "file").write_text("changed")
    assert git.dirty(source)
    assert git.publish(tmp_path / "g", "project", source) == head
    run("git", "clone", "-q", str(tmp_path / "g/project.git"), str(tmp_path / "clone"), cwd=tmp_path)
    assert (tmp_path / "clone/file").read_text() == "committed"


def test_settings_are_found_again_and_checked_all_at_once(tmp_path: Path) -> None:
    given = Settings(directory=tmp_path, name="e2e", port=5000)
    given.save()
    assert load(tmp_path) == given
    with pytest.raises(InvalidInput) as refused:
        Settings(directory=tmp_path, name="Not Good", port=80, internet="nowhere")
    assert len(refused.value.problems) == 3
