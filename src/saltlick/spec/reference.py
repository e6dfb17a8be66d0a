"""Writes docs/pillar.md: every key of the environment, from the models that read it.

CLI Example:

    python -m saltlick.spec.reference > docs/pillar.md
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel

from saltlick.engine.resource import Effect, Kind
from saltlick.kinds import KINDS
from saltlick.spec.backup.model import (
    S3,
    Backups,
    Drill,
    Encryption,
    Job,
    Keep,
    Postgresql,
    Rsync,
    Script,
    Store,
    Timing,
    Zodb,
)
from saltlick.spec.backup.model import Check as BackupCheck
from saltlick.spec.model import Deadlines, Environment, LongForm, Salt
from saltlick.spec.network import Nat, Rule, Tier
from saltlick.spec.offhours.model import Covers, OffHours
from saltlick.spec.refresh import Application, Refresh
from saltlick.spec.release.balancing import Command, Elbv2, Haproxy, NoBalancer, Service
from saltlick.spec.release.model import (
    Check,
    Health,
    Hooks,
    Moment,
    Pause,
    Recipe,
    RequestLog,
    Source,
    Strategy,
    StrategyKind,
    Webhook,
    Windows,
)
from saltlick.spec.release.steps import BuildStep, OnceStep, Place, PlacedStep, Step, When
from saltlick.spec.servers import Balancer, BootAs, Image, ServerGroup

SECTIONS: Mapping[str, type[BaseModel]] = {
    "environment": Environment,
    "environment.subnets.<tier>": Tier,
    "environment.firewall.<group>[]": Rule,
    "environment.servers.<group>": ServerGroup,
    "environment.balancers.<name>": Balancer,
    "environment.image": Image,
    "environment.salt": Salt,
    "environment.deadlines": Deadlines,
    "environment.resources[]": LongForm,
    "release": Recipe,
    "release.source": Source,
    "release.strategy": Strategy,
    "release.build[]": BuildStep,
    "release.stop[], kill[], start[]": Step,
    "release.once[]": OnceStep,
    "release.hooks.<moment>[], steps of balancers": PlacedStep,
    "release.balancer: elbv2": Elbv2,
    "release.balancer: haproxy": Haproxy,
    "release.balancer: service": Service,
    "release.balancer: command": Command,
    "release.balancer: none": NoBalancer,
    "release.health": Health,
    "release.health.checks[]": Check,
    "release.hooks": Hooks,
    "release.windows": Windows,
    "release.webhook": Webhook,
    "release.traffic": RequestLog,
    "offhours": OffHours,
    "offhours.covers": Covers,
    "stores.<name>": Store,
    "stores.<name>.rsync": Rsync,
    "stores.<name>.s3": S3,
    "backup": Backups,
    "backup.jobs.<name>": Job,
    "backup.jobs.<name>.postgresql": Postgresql,
    "backup.jobs.<name>.zodb": Zodb,
    "backup.jobs.<name>.full, incremental, drill.at": Timing,
    "backup.jobs.<name>.keep": Keep,
    "backup.jobs.<name>.drill": Drill,
    "refresh": Refresh,
    "refresh.application": Application,
    "refresh.mask[], mail[], scripts[] of a drill": Script,
    "refresh.checks[], checks[] of a drill": BackupCheck,
}

CHOICES: tuple[type[Enum], ...] = (Nat, BootAs, StrategyKind, Pause, When, Place, Moment, Encryption)

_HEAD = """\
<!-- Written by `python -m saltlick.spec.reference > docs/pillar.md`: change the models, not this page. -->

# The pillar

An environment is declared under the key `environment` of its own pillar: `pillar/prod/environment.sls` for `prod`. The three
files in `pillar/` are complete examples. What is wrong with one is said before AWS is touched, all of it, each with its path.
`saltlick schema` prints the same as JSON Schema, for editors.

How a revision gets onto the servers of a group is declared under the key `release`: `pillar/common/release.sls` for the
application of the examples, `pillar/common/examples/plone/release.sls` for Plone with buildout, npm and gulp.

When an environment is off is declared under the key `offhours`: `pillar/test/offhours.sls`, and [off-hours](offhours.md).
What is backed up, and where to, is declared under `backup` and `stores`; whose data an environment gets, under `refresh`:
`pillar/common/backup.sls`, `pillar/test/refresh.sls`, and [backups](backup.md).

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


def _sections() -> Iterator[str]:
    for title, model in SECTIONS.items():
        yield f"## `{title}`\n\n{_paragraphs(model.__doc__)}\n"
        yield from _table(("key", "takes", "default", "what it is"), _keys(model))


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    shape = model.model_json_schema(by_alias=True)
    shapes = shape["properties"] if "properties" in shape else shape["anyOf"][-1]["properties"]  # or a line of text
    for name, field in model.model_fields.items():
        key = field.alias or name
        default = "" if field.is_required() or field.default_factory else _value(field.default)
        shown = f"**`{key}`**" if field.is_required() else f"`{key}`"
        yield shown, _words(shapes[key]), default, field.description or ""


def _kinds(kinds: Iterable[Kind]) -> Iterator[str]:
    for kind in sorted(kinds, key=lambda each: each.name):
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
        return f"`[{', '.join(str(getattr(each, 'value', each)) for each in value)}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{getattr(value, 'value', value)}`" if value != "" else ""


def _words(shape: Mapping[str, Any]) -> str:
    """What a key takes, in a few words, from its JSON Schema."""
    if choices := shape.get("enum") or ([shape["const"]] if "const" in shape else None):
        return ", ".join(f"`{choice}`" for choice in choices)
    if ways := shape.get("anyOf") or shape.get("oneOf"):
        return " or ".join(dict.fromkeys(_words(way) for way in ways if way.get("type") != "null"))
    if "$ref" in shape:
        return _NAMED[shape["$ref"].rpartition("/")[2]]
    if shape.get("type") == "array":
        return f"list of {_words(shape.get('items', {}))}"
    if shape.get("type") == "object":
        return "mapping"
    if "format" in shape:
        return {"ipv4network": "network", "ipv4": "address", "password": "text"}[shape["format"]]
    return _PLAIN.get(shape.get("type", ""), "anything")


_PLAIN = {"string": "text", "integer": "number", "number": "number", "boolean": "`true`, `false`"}
_NAMED = {
    **{each.__name__: ", ".join(f"`{one.value}`" for one in each) for each in CHOICES},
    **{model.__name__: "mapping, see below" for model in SECTIONS.values()},
    "Rule": "rule, see below",
    "LongForm": "entry, see below",
    **{each.__name__: "step: a line of text, or a mapping" for each in (Step, BuildStep, OnceStep, PlacedStep)},
}


def _paragraphs(text: str | None) -> str:
    lines = [line.strip() for line in (text or "").splitlines()]
    return "\n".join(lines).strip()


if __name__ == "__main__":
    sys.stdout.write(page())
