"""Print structural figures of the code. For whoever wants to look; nothing fails by them.

python -m tools.figures             sizes, import circles, ambiguous class names, constructions, words, fake clocks
python -m tools.figures way FILE …  number of files and lines on a way through the code, in the order given
"""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "saltlick"
LOADED = ("_modules", "_runners", "_states", "_output")
WORDS = ("told", "tell", "said", "say")
CONSTRUCTIONS = ("SaltFleet", "sqlite3.connect")
FOLDER_FILES, SOURCE_LINES, TEST_LINES = 15, 300, 400


def files(*folders: Path | str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def module(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, known: Iterable[str]) -> Iterator[str]:
    """The modules of `known` that a file names in imports, wherever in the file, TYPE_CHECKING included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(SOURCE.parent).parts[: -node.level] if node.level else ()
            base = ".".join((*package, *filter(None, [node.module])))
            inner = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in known]
            yield from inner
            if base in known and len(inner) < len(node.names):
                yield base


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            new = arrows[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    reach = {name: reached(name) for name in arrows}
    groups = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in arrows}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def ambiguous() -> dict[str, list[str]]:
    """Public class names that are defined in two or more files of src/saltlick."""
    places = defaultdict(list)
    for path in files(SOURCE):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module(path).removeprefix("saltlick."))
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def constructions(name: str) -> list[str]:
    """Where src calls `name(`, as file:line."""
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files(SOURCE, *LOADED)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    ]


def words() -> tuple[Counter[str], Counter[str]]:
    """How often src has each of WORDS as (part of) an identifier, and in comments, docstrings and texts."""
    identifiers: Counter[str] = Counter()
    prose: Counter[str] = Counter()
    for path in files(SOURCE, *LOADED):
        with tokenize.open(path) as source:
            for token in tokenize.generate_tokens(source.readline):
                if token.type == tokenize.NAME:
                    identifiers.update(part for part in token.string.lower().split("_") if part in WORDS)
                elif token.type in {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}:
                    prose.update(word for word in re.findall(r"[a-z]+", token.string.lower()) if word in WORDS)
    return identifiers, prose


def fake_clocks() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in files("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Clock")
    ]


def way(names: Iterable[str]) -> None:
    """Print the lines of each file on a way, and the sums."""
    sizes = {name: lines(ROOT / name) for name in names}
    title = f"way: {len(sizes)} files, {sum(sizes.values())} lines"
    section(title, (f"{size:5} {name}" for name, size in sizes.items()))


def section(title: str, rows: Iterable[str]) -> None:
    print(title, *(f"    {row}" for row in rows), sep="\n")


def figures() -> None:
    folders = Counter(str(path.parent.relative_to(ROOT)) for path in files(SOURCE))
    full = [name for name, count in folders.items() if count > FOLDER_FILES]
    rows = (f"{count:4} {name}{'  (full)' if name in full else ''}" for name, count in sorted(folders.items()))
    section(f"folders: {len(folders)}, with more than {FOLDER_FILES} files: {len(full)}", rows)
    for title, paths, limit in (("source", files(SOURCE, *LOADED), SOURCE_LINES), ("test", files("tests"), TEST_LINES)):
        long = [f"{lines(path):5} {path.relative_to(ROOT)}" for path in paths if lines(path) > limit]
        section(f"{title} files: {len(paths)}, over {limit} lines: {len(long)}", long)
    known = {module(path): path for path in files(SOURCE)}
    rings = circles({name: set(imports(path, known)) for name, path in known.items()})
    section(f"import circles: {len(rings)}", map(" ".join, rings))
    names = ambiguous()
    section(f"ambiguous class names: {len(names)}", (f"{name}: {' '.join(where)}" for name, where in names.items()))
    for name in CONSTRUCTIONS:
        section(f"{name}(: {len(where := constructions(name))}", where)
    identifiers, prose = words()
    section("words (identifiers, prose):", (f"{word}: {identifiers[word]}, {prose[word]}" for word in WORDS))
    section(f"fake clocks in tests: {len(fake_clocks())}", fake_clocks())


if __name__ == "__main__":
    way(sys.argv[2:]) if sys.argv[1:2] == ["way"] else figures()
