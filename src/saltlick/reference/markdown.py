"""Writes docs/pillar.md: every key of the pillar, from the models that read it.

CLI Example:

    python -m saltlick.reference.markdown > docs/pillar.md
"""

from __future__ import annotations

import collections.abc
import dataclasses
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from saltlick.backup.pillar.model import Backups, StoreSpec
from saltlick.engine.resource import Effect, Kind
from saltlick.environment.pillar.model import Environment
from saltlick.kinds import KINDS
from saltlick.notify.pillar import Notify
from saltlick.offhours.pillar.model import OffHours
from saltlick.refresh.pillar import Refresh
from saltlick.release.pillar.model import Recipe

ROOTS: Mapping[str, type[BaseModel]] = {
    "environment": Environment,
    "release": Recipe,
    "offhours": OffHours,
    "refresh": Refresh,
    "stores.<name>": StoreSpec,
    "backup": Backups,
    "notify": Notify,
}
"""The pillar's top-level keys and the models that read them; every other section follows from their fields."""

_HEAD = """\
<!-- Written by `python -m saltlick.reference.markdown > docs/pillar.md`: change the models, not this page. -->

# The pillar

An environment is declared under the key `environment` of its own pillar: `pillar/prod/environment.sls` for `prod`. The three
files in `pillar/` are complete examples. What is wrong with one is said before AWS is touched, all of it, each with its path.
`saltlick schema` prints the same as JSON Schema, for editors.

How a revision gets onto the servers of a group is declared under the key `release`: `pillar/common/release.sls` for the
application of the examples, `pillar/common/examples/plone/release.sls` for Plone with buildout, npm and gulp.

When an environment is off is declared under the key `offhours`: `pillar/test/offhours.sls`, and [off-hours](offhours.md).
What is backed up, and where to, is declared under `backup` and `stores`; whose data an environment gets, under `refresh`:
`pillar/common/backup.sls`, `pillar/test/refresh.sls`, and [backups](backup.md). Who is told when something turns red is declared
under `notify`: [notifications](notify.md).

Most of an environment is written in the short form. What that does not know goes into `resources`, the long form, where every
kind of object and every property is at hand; an entry with `override: true` changes an object that the short form makes.
"""

_KINDS_HEAD = """\
## Kinds of the long form

What happens when a property changes: *in place*, AWS changes the object; *replaced*, only a new object can have it, which is
shown and done on request; *shown*, the difference is reported and left alone. Required properties are **bold**.
"""

_EFFECTS = {Effect.UPDATE: "in place", Effect.REPLACE: "replaced", Effect.DRIFT: "shown"}


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_sections(), _KINDS_HEAD, *_kinds(KINDS.values())])


def sections() -> dict[type[BaseModel], list[str]]:
    """Every model of the pillar with all paths at which it occurs, in the order of the fields."""
    paths: dict[type[BaseModel], list[str]] = {}
    for key, model in ROOTS.items():
        _walk(key, model, paths)
    return paths


def _walk(path: str, model: type[BaseModel], paths: dict[type[BaseModel], list[str]]) -> None:
    known = model in paths
    paths.setdefault(model, []).append(path)
    if not known:
        for name, field in model.model_fields.items():
            for suffix, nested in _nested(field.annotation):
                _walk(f"{path}.{field.alias or name}{suffix}", nested, paths)


def _nested(annotation: Any, tag: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The models in an annotation, each with what its path adds: `[]`, `.<name>`, or the tag of a union's branch."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if tag != _UNKNOWN:
            yield tag and f": {tag.removeprefix('kind=')}", annotation
    elif origin is typing.Annotated:
        yield from _nested(arguments[0], next((mark.tag for mark in arguments[1:] if hasattr(mark, "tag")), tag))
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _nested(argument, tag)
    elif origin in (tuple, list):
        yield from ((f"[]{suffix}", model) for suffix, model in _nested(arguments[0]))
    elif isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        yield from ((f".<name>{suffix}", model) for suffix, model in _nested(arguments[1]))


_UNKNOWN = "kind=?"
"""The tag of the union branch that only produces an error message."""


def _sections() -> Iterator[str]:
    for model, paths in sections().items():
        title = min(paths, key=len)
        yield f"## `{title}`\n\n{_paragraphs(model.__doc__)}\n"
        if others := [path for path in paths if path != title]:
            yield f"Also at {', '.join(f'`{path}`' for path in others)}.\n"
        yield from _table(("key", "takes", "default", "what it is"), _keys(model))


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    shape = model.model_json_schema(by_alias=True)
    shapes = shape["properties"] if "properties" in shape else shape["anyOf"][-1]["properties"]  # or a line of text
    for name, field in model.model_fields.items():
        key = field.alias or name
        default = "" if field.is_required() or field.default_factory else _value(field.default)
        shown = f"**`{key}`**" if field.is_required() else f"`{key}`"
        yield shown, _words(shapes[key], shape.get("$defs", {})), default, field.description or ""


def _kinds(kinds: Iterable[Kind]) -> Iterator[str]:
    for kind in sorted(kinds, key=lambda declared: declared.name):
        yield f"### `{kind.name}`\n"
        yield from _table(("property", "when it changes", "what it is"), _properties(kind))
        yield f"A reference may ask for: {', '.join(f'`{name}`' for name in sorted(kind.attributes))}.\n"


def _properties(kind: Kind) -> Iterator[tuple[str, ...]]:
    for spot in dataclasses.fields(kind.properties):
        required = spot.default is dataclasses.MISSING and spot.default_factory is dataclasses.MISSING
        shown = f"**`{spot.name}`**" if required else f"`{spot.name}`"
        yield shown, _EFFECTS[spot.metadata["effect"]], spot.metadata["doc"]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from (_row(row) for row in rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(str(getattr(item, 'value', item)) for item in value)}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{getattr(value, 'value', value)}`" if value != "" else ""


def _words(shape: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a key takes, in a few words, from its JSON Schema."""
    if choices := shape.get("enum") or ([shape["const"]] if "const" in shape else None):
        return ", ".join(f"`{choice}`" for choice in choices)
    if ways := shape.get("anyOf") or shape.get("oneOf"):
        return " or ".join(dict.fromkeys(_words(way, definitions) for way in ways if way.get("type") != "null"))
    if "$ref" in shape:
        return _definition(definitions[shape["$ref"].rpartition("/")[2]])
    if shape.get("type") == "array":
        return f"list of {_words(shape.get('items', {}), definitions)}"
    if shape.get("type") == "object":
        return "mapping"
    if "format" in shape:
        return {"ipv4network": "network", "ipv4": "address", "password": "text"}[shape["format"]]
    return _PLAIN.get(shape.get("type", ""), "anything")


_PLAIN = {"string": "text", "integer": "number", "number": "number", "boolean": "`true`, `false`"}


def _definition(shape: Mapping[str, Any]) -> str:
    if choices := shape.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    return "step: a line of text, or a mapping" if "anyOf" in shape else "mapping, see below"


def _paragraphs(text: str | None) -> str:
    lines = [line.strip() for line in (text or "").splitlines()]
    return "\n".join(lines).strip()


if __name__ == "__main__":
    sys.stdout.write(page())
