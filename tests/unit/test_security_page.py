"""SECURITY.md: what an attacker cannot do is shown by tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
SHOWN = re.findall(r"`(tests/[^`]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), SHOWN, ids=[name for _, name in SHOWN])
def test_what_it_names_is_a_test(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_cannot_names_one() -> None:
    section = PAGE.split("## What an attacker cannot do")[1].split("## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith(("| An ", "| ---"))]
    assert rows
    assert [row for row in rows if not re.search(r"`tests/[^`]+::test_\w+` \|$", row)] == []
