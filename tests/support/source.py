"""Python files of the checkout, each parsed once for all tests that read the source."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = CHECKOUT / "src" / "saltlick"


@dataclass(frozen=True)
class SourceFile:
    """What a file imports, calls and declares, nested code included."""

    docstring: str | None
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    calls: frozenset[str]
    """Dotted names: `SaltFleet`, `sqlite3.connect`."""
    classes: tuple[str, ...]


@cache
def read(path: Path) -> SourceFile:
    """The syntax tree itself is not kept: 300 of them slow the garbage collector down."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = list(ast.walk(tree))
    return SourceFile(
        docstring=ast.get_docstring(tree),
        imports=tuple(node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))),
        calls=frozenset(_dotted(node.func) for node in nodes if isinstance(node, ast.Call)),
        classes=tuple(node.name for node in nodes if isinstance(node, ast.ClassDef)),
    )


def _dotted(node: ast.expr) -> str:
    """`a.b.c`; empty for what is not a plain name, as the result of another call."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""
