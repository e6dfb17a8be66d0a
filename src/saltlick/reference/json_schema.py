"""The pillar's shape as JSON Schema, for editors that complete and check while one types."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from saltlick.backup.pillar import BACKUP_KEY as BACKUP
from saltlick.backup.pillar import STORES_KEY, Backups, StoreSpec
from saltlick.engine.resource import Join, Kind, Ref
from saltlick.environment.pillar.model import Environment
from saltlick.kinds import KINDS
from saltlick.notify.pillar import NOTIFY_KEY as NOTIFY
from saltlick.notify.pillar import Notify
from saltlick.offhours.pillar import OFFHOURS_KEY as OFFHOURS
from saltlick.offhours.pillar import OffHours
from saltlick.refresh.pillar import REFRESH_KEY as REFRESH
from saltlick.refresh.pillar import Refresh
from saltlick.release.pillar.model import Recipe
from saltlick.release.pillar.parse import RELEASE_KEY as RELEASE
from saltlick.schema.problems import ENVIRONMENT_KEY

ROOTS: Mapping[str, type[BaseModel]] = {
    ENVIRONMENT_KEY: Environment,
    RELEASE: Recipe,
    OFFHOURS: OffHours,
    BACKUP: Backups,
    REFRESH: Refresh,
    NOTIFY: Notify,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REFERENCE: dict[str, Any] = {
    "type": "object",
    "properties": {"ref": {"type": "string"}, "attribute": {"type": "string"}, "environment": {"type": "string"}},
    "required": ["ref"],
    "additionalProperties": False,
}
_PLAIN = {str: "string", int: "integer", bool: "boolean", type(None): "null"}


def schema() -> dict[str, Any]:
    """The JSON Schema of a pillar file that holds one or more of Saltlick's keys."""
    models: tuple[type[BaseModel], ...] = (*ROOTS.values(), StoreSpec)
    shapes, document = models_json_schema([(model, "validation") for model in models], by_alias=True)
    definitions = document["$defs"]
    definitions["LongForm"] |= _long_form(definitions["LongForm"]["properties"])
    return {
        "$schema": DIALECT,
        "title": "Saltlick environment",
        "type": "object",
        "properties": {
            **{key: shapes[model, "validation"] for key, model in ROOTS.items()},
            STORES_KEY: {"type": "object", "additionalProperties": shapes[StoreSpec, "validation"]},
        },
        "$defs": definitions,
    }


def _long_form(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What the models do not say: which kinds there are, and what each takes."""
    kinds = {name: kind for name, kind in sorted(KINDS.items()) if not kind.lookup or name == "image"}
    return {
        "properties": {**properties, "kind": {**properties["kind"], "enum": list(kinds)}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}},
                "then": {"properties": {"properties": _fields(kind)}},
            }
            for name, kind in kinds.items()
        ],
    }


def _fields(kind: Kind) -> dict[str, Any]:
    return {"type": "object", "properties": _record(kind.properties), "additionalProperties": False}


def _record(cls: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {
        spot.name: {"description": doc, **_shape(hints[spot.name])}
        if (doc := spot.metadata.get("doc"))
        else _shape(hints[spot.name])
        for spot in dataclasses.fields(cls)
    }


def _shape(hint: Any) -> dict[str, Any]:
    """The schema of one field of a kind."""
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if hint is Ref:
        return _REFERENCE
    if hint is Join:
        return {"type": "object", "properties": {"join": {"type": "array"}}, "required": ["join"]}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return {"type": "object", "properties": _record(hint), "additionalProperties": False}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _shape(typing.get_args(hint)[0])}
    if arguments := typing.get_args(hint):
        return {"anyOf": [_shape(argument) for argument in arguments]}
    return {}
