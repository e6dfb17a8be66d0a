"""A production environment with the reference estate's example passwords is refused, with those of every server named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import salt.config as salt_config

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


def test_the_reference_estate_says_that_it_is_for_the_sandbox(opts: dict[str, Any]) -> None:
    assert load(opts, "prod").production == {"prod"}


def test_without_that_word_production_is_refused_with_every_path(opts: dict[str, Any]) -> None:
    without_the_line(opts, "prod")
    with pytest.raises(InvalidInput) as refused:
        load(opts, "prod")
    said = str(refused.value)
    for path in ("app.environment.PGPASSWORD", "app.repository", "app.revision", "release"):
        assert path in said, said
    assert "postgresql" in said, "the database servers' own pillar is asked, too"
    assert "example-app-prod" not in said


def test_a_master_from_plain_http_is_refused(opts: dict[str, Any]) -> None:
    without_the_line(opts, "control")
    with pytest.raises(InvalidInput, match=r"environment\.salt\.repository"):
        load(opts, "control")
