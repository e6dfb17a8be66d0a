"""Render docs/ as HTML into build/docs, and refuse links that lead nowhere.

python tools/docs.py [target folder]
"""

from __future__ import annotations

import html
import itertools
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FIRST = (
    "index",
    "guide",
    "environment",
    "release",
    "backup",
    "refresh",
    "offhours",
    "pillar",
    "formulas",
    "sandbox",
    "architecture",
)
SOURCE_HOST = re.compile(r"^[a-z]+:")

STYLE = """
:root { color-scheme: light dark; --ink: #1b2434; --soft: #5b6880; --line: #d9dfe8; --ground: #fff; --code: #f3f5f9;
  --link: #1463b8 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e9f3; --soft: #9aa8c0; --line: #2b3850; --ground: #0f1729; --code: #18233b; --link: #7dc4f5 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.6 ui-sans-serif, system-ui, sans-serif }
nav { padding: .8rem 1.5rem; border-bottom: 1px solid var(--line) }
nav a { margin-right: 1.4rem; color: var(--soft); text-decoration: none }
nav a[aria-current] { color: var(--ink); font-weight: 600 }
main { max-width: 58rem; margin: 0 auto; padding: 1rem 1.5rem 5rem; overflow-wrap: break-word }
a { color: var(--link) } h1, h2, h3 { line-height: 1.25; margin-top: 2em } h1 { margin-top: 1em } img { max-width: 100% }
pre { background: var(--code); padding: .9rem 1.1rem; overflow-x: auto; border-radius: 8px; line-height: 1.45 }
code { background: var(--code); padding: .1em .3em; border-radius: 4px; font: .9em ui-monospace, Menlo, Consolas, monospace }
pre code { padding: 0 } table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { text-align: left; vertical-align: top; padding: .45rem .9rem .45rem 0; border-bottom: 1px solid var(--line) }
"""


@dataclass(frozen=True)
class Page:
    """One Markdown file, parsed."""

    path: Path
    tokens: Sequence[Token]

    @property
    def title(self) -> str:
        """The first heading."""
        return next((text for _, text in headings(self.tokens)), self.path.stem)

    @property
    def anchors(self) -> frozenset[str]:
        return frozenset(slug(text) for _, text in headings(self.tokens))


def slug(text: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def headings(tokens: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    """Each opening token of a heading with its plain text."""
    for token, inline in itertools.pairwise(tokens):
        if token.type == "heading_open":
            yield token, "".join(child.content for child in inline.children or ())


def links(tokens: Sequence[Token]) -> Iterator[tuple[Token, str, str]]:
    """Each link and image: its token, the attribute that points, and where to."""
    for token in tokens:
        for child in token.children or ():
            for attribute in ("href", "src"):
                if target := child.attrGet(attribute):
                    yield child, attribute, str(target)


def broken(page: Page, pages: Sequence[Page]) -> list[str]:
    """The links of a page that lead nowhere."""
    anchors = {other.path: other.anchors for other in pages}
    problems = []
    for _, _, target in links(page.tokens):
        file, _, anchor = target.partition("#")
        place = (page.path.parent / file).resolve() if file else page.path
        if SOURCE_HOST.match(target):
            continue
        if not place.exists() or (anchor and anchor not in anchors.get(place, frozenset())):
            problems.append(f"{page.path.relative_to(ROOT)}: {target} leads nowhere")
    return problems


def render(markdown: MarkdownIt, page: Page, pages: Sequence[Page]) -> str:
    """A page as HTML, links to other pages following."""
    for token, text in headings(page.tokens):
        token.attrSet("id", slug(text))
    for token, attribute, target in links(page.tokens):
        token.attrSet(attribute, re.sub(r"^([\w-]+)\.md(?=#|$)", r"\1.html", target))
    body = markdown.renderer.render(list(page.tokens), markdown.options, {})
    menu = "".join(
        f'<a href="{other.path.stem}.html"{" aria-current=page" if other is page else ""}>{html.escape(other.title)}</a>'
        for other in pages
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(page.title)}</title><style>{STYLE}</style><nav>{menu}</nav><main>{body}</main></html>\n"
    )


def read(markdown: MarkdownIt) -> list[Page]:
    """All pages, the first ones first."""
    order = {name: number for number, name in enumerate(FIRST)}
    paths = sorted(DOCS.glob("*.md"), key=lambda path: (order.get(path.stem, len(order)), path.stem))
    return [Page(path, markdown.parse(path.read_text("utf-8"))) for path in paths]


def main() -> int:
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    pages = read(markdown)
    problems = [problem for page in pages for problem in broken(page, pages)]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    target.mkdir(parents=True, exist_ok=True)
    for page in pages:
        (target / f"{page.path.stem}.html").write_text(render(markdown, page, pages), "utf-8")
    for picture in (*DOCS.glob("*.svg"), *DOCS.glob("*.png")):
        shutil.copy2(picture, target)
    print(target / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
