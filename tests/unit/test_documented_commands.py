"""Commands in the documentation exist, with the arguments that they are shown with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGES = (CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md")))
PLACES = {"salt-run": "_runners", "salt": "_modules"}
COMMAND = re.compile(
    r"(?:salt-run|·|^salt|`salt) (?:'\S+' |[a-z]\S*-\d )?`?([a-z_]+)\.([a-z_]+)\b([^`\n#]*)", re.MULTILINE
)
ARGUMENT = re.compile(r"(?<=\s)(\w+)=")


@cache
def arguments(name: str, function: str) -> frozenset[str] | None:
    """The arguments that a function of ours takes; None where there is no such function."""
    for folder in PLACES.values():
        path = CHECKOUT / folder / f"{name}.py"
        body = ast.parse(path.read_text("utf-8")).body if path.exists() else []
        for one in body:
            if isinstance(one, ast.FunctionDef) and one.name.rstrip("_") == function:
                return frozenset(each.arg for each in (*one.args.args, *one.args.kwonlyargs))
    return None


def ours(name: str) -> bool:
    return any((CHECKOUT / folder / f"{name}.py").exists() for folder in PLACES.values())


def wrong(text: str) -> Iterator[str]:
    for name, function, rest in COMMAND.findall(text):
        if not ours(name) or function == "sls":
            continue
        known = arguments(name, function)
        if known is None:
            yield f"there is no {name}.{function}"
        else:
            yield from (f"{name}.{function} takes no {each}" for each in ARGUMENT.findall(rest) if each not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_exist(page):
    assert not list(wrong(page.read_text("utf-8")))


def test_pages_have_commands_and_wrong_ones_are_seen():
    assert len(COMMAND.findall((CHECKOUT / "docs/release.md").read_text("utf-8"))) > 20
    text = "salt-run release.rolling prod rev=x bach=2\n`salt prod-app-1 detached.statis x`\nsalt-run release.rollbak prod\n"
    assert list(wrong(text)) == [
        "release.rolling takes no bach",
        "there is no detached.statis",
        "there is no release.rollbak",
    ]
