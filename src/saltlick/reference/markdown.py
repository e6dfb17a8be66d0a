"""Writes docs/pillar.md: every key of the environment, from the models that read it.

CLI Example:

    python -m saltlick.reference.markdown > docs/pillar.md
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel

from saltlick.backup.pillar.model import (
    S3,
    BackupJobSpec,
    Backups,
    Drill,
    Encryption,
    Postgresql,
    RetentionSpec,
    Rsync,
    Script,
    Store,
    Timing,
    Zodb,
)
from saltlick.backup.pillar.model import RestoreCheck as BackupCheck
from saltlick.engine.resource import Effect, Kind
from saltlick.environment.pillar.model import Deadlines, Environment, LongForm, Salt
from saltlick.environment.pillar.network import FirewallRule, Nat, Tier
from saltlick.environment.pillar.servers import BootAs, ImageSpec, LoadBalancerSpec, ServerGroup
from saltlick.fleet.balancers.pillar import CommandSpec, Elbv2Spec, HaproxySpec, NoBalancerSpec, ServiceSpec
from saltlick.fleet.health import HealthCheck, HealthSpec
from saltlick.fleet.step import BuildStep, OnceStep, PlacedStep, Step, StepPlace, When
from saltlick.kinds import KINDS
from saltlick.offhours.pillar.model import Covers, OffHours
from saltlick.refresh.pillar import Refresh, RefreshedApplication
from saltlick.release.pillar.model import (
    HookEvent,
    Hooks,
    Pause,
    Recipe,
    RequestLog,
    Source,
    Strategy,
    StrategyKind,
    Webhook,
    Windows,
)

SECTIONS: Mapping[str, type[BaseModel]] = {
    "environment": Environment,
    "environment.subnets.<tier>": Tier,
    "environment.firewall.<group>[]": FirewallRule,
    "environment.servers.<group>": ServerGroup,
    "environment.balancers.<name>": LoadBalancerSpec,
    "environment.image": ImageSpec,
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
    "release.balancer: elbv2": Elbv2Spec,
    "release.balancer: haproxy": HaproxySpec,
    "release.balancer: service": ServiceSpec,
    "release.balancer: command": CommandSpec,
    "release.balancer: none": NoBalancerSpec,
    "release.health": HealthSpec,
    "release.health.checks[]": HealthCheck,
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
    "backup.jobs.<name>": BackupJobSpec,
    "backup.jobs.<name>.postgresql": Postgresql,
    "backup.jobs.<name>.zodb": Zodb,
    "backup.jobs.<name>.full, incremental, drill.at": Timing,
    "backup.jobs.<name>.keep": RetentionSpec,
    "backup.jobs.<name>.drill": Drill,
    "refresh": Refresh,
    "refresh.application": RefreshedApplication,
    "refresh.mask[], mail[], scripts[] of a drill": Script,
    "refresh.checks[], checks[] of a drill": BackupCheck,
}

CHOICES: tuple[type[Enum], ...] = (Nat, BootAs, StrategyKind, Pause, When, StepPlace, HookEvent, Encryption)

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
