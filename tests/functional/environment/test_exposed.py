"""A production environment with the reference estate's example passwords is refused, with those of every server named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import salt.config as salt_config

from saltlick import aws
from saltlick.commands.environment.estate import load
from saltlick.errors import InvalidInput

CHECKOUT = Path(__file__).resolve().parents[3]
LINE = "  insecure: true"


@pytest.fixture
def opts(tmp_path: Path) -> dict[str, Any]:
    """A master's options over a copy of the reference pillar."""
    shutil.copytree(CHECKOUT / "pillar", tmp_path / "pillar")
    roots = {name: [str(tmp_path / "pillar" / name), str(tmp_path / "pillar/common")] for name in ("control", "prod")}
    folders = {name: str(tmp_path) for name in ("root_dir", "cachedir", "pki_dir", "sock_dir", "extension_modules")}
    return {**salt_config.master_config(None), **folders, "pillar_roots": roots, "id": "salt-master_master"}


def without_the_line(opts: dict[str, Any], name: str) -> None:
    path = Path(opts["pillar_roots"][name][0]) / "environment.sls"
    lines = path.read_text().splitlines(keepends=True)
    left = [line for line in lines if not line.startswith(LINE)]
    assert len(left) == len(lines) - 1
    path.write_text("".join(left))


def test_the_reference_estate_says_that_it_is_for_the_sandbox(
    opts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.saltlick.internal")
    assert load(opts, "prod", builds=True).production == {"prod"}


def test_on_aws_the_exception_itself_is_refused(opts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(InvalidInput, match=r"environment\.insecure: is for a sandbox, and this is AWS"):
        load(opts, "prod", builds=True)


@pytest.mark.parametrize(
    ("endpoint", "emulated"),
    [
        ("", False),
        ("https://ec2.eu-west-1.amazonaws.com", False),
        ("https://ec2.eu-west-1.api.aws", False),
        ("http://127.0.0.1:4566", True),
        ("https://amazonaws.com.evil.example", True),
    ],
)
def test_aws_is_told_by_its_address(endpoint: str, emulated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert aws.emulated("eu-west-1") is emulated


def test_what_looks_or_destroys_is_not_refused(opts: dict[str, Any]) -> None:
    without_the_line(opts, "prod")
    assert load(opts, "prod").production == {"prod"}


def test_a_production_of_ones_own_is_accepted(opts: dict[str, Any]) -> None:
    """The reference estate, with everything mended that it is refused with."""
    for name in ("control", "prod"):
        without_the_line(opts, name)
    for path in Path(opts["pillar_roots"]["prod"][0]).parent.rglob("*.sls"):
        text = path.read_text().replace("http://git", "https://git").replace("revision: main", f"revision: {'5f' * 20}")
        path.write_text(text.replace("example-", "q8-"))
    assert load(opts, "prod", builds=True).production == {"prod"}
    assert load(opts, "control", builds=True).environments == ("control",)


def test_the_project_that_productions_master_runs_may_not_move(opts: dict[str, Any]) -> None:
    without_the_line(opts, "prod")
    without_the_line(opts, "control")
    with pytest.raises(InvalidInput) as refused:
        load(opts, "prod", builds=True)
    assert {"environment.salt.repository", "environment.salt.revision"} <= {
        each.path for each in refused.value.problems
    }


def test_without_that_word_production_is_refused_with_every_path(opts: dict[str, Any]) -> None:
    without_the_line(opts, "prod")
    with pytest.raises(InvalidInput) as refused:
        load(opts, "prod", builds=True)
    said = str(refused.value)
    for path in ("app.environment.PGPASSWORD", "app.repository", "app.revision", "release"):
        assert path in said, said
    assert "postgresql" in said, "the database servers' own pillar is asked, too"
    assert "example-app-prod" not in said


def test_a_master_from_plain_http_is_refused(opts: dict[str, Any]) -> None:
    without_the_line(opts, "control")
    with pytest.raises(InvalidInput, match=r"environment\.salt\.repository"):
        load(opts, "control", builds=True)
