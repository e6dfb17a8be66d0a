"""The long form's properties: from plain pillar data to the fields of a kind, with typed references."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from saltlick.engine.resource import Join, Key, Properties, Ref
from saltlick.schema.problems import Location, did_you_mean, path, shown

A_RECORD = "a mapping of names to values"


class MisfitError(Exception):
    """What a long form holds does not fit its kind; carries all problems, paths relative to `properties`."""

    def __init__(self, problems: list[tuple[Location, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{path(where, '')}: {message}" for where, message in problems))


def fields(cls: type[Properties], raw: Mapping[str, Any], environment: str, *, partial: bool = False) -> dict[str, Any]:
    """The values for `cls(**values)` that plain data stands for. `partial` allows required fields to be missing.

    Raises:
        MisfitError: with everything that does not fit.
    """
    problems: list[tuple[Location, str]] = []
    value = _record(cls, raw, environment, (), problems, partial=partial)
    if problems:
        raise MisfitError(problems)
    return value


def _record(
    cls: type[Any],
    raw: Mapping[str, Any],
    environment: str,
    where: Location,
    problems: list[Any],
    *,
    partial: bool = False,
) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    known = {spot.name: spot for spot in dataclasses.fields(cls) if spot.init}
    problems += [
        ((*where, name), f"{name} is not known here{did_you_mean(str(name), known)}")
        for name in raw
        if name not in known
    ]
    required = [name for name, spot in known.items() if _required(spot) and name not in raw]
    if not partial:
        problems += [((*where, name), "this has to be given") for name in required]
    return {
        name: _value(hints[name], value, environment, (*where, name), problems)
        for name, value in raw.items()
        if name in known
    }


def _required(spot: dataclasses.Field[Any]) -> bool:
    return spot.default is dataclasses.MISSING and spot.default_factory is dataclasses.MISSING


def _value(hint: Any, raw: Any, environment: str, where: Location, problems: list[Any]) -> Any:
    """One field: references made, records made, then held against its type."""
    count = len(problems)
    value = _made(hint, raw, environment, where, problems)
    if len(problems) > count:
        return value
    try:
        return _adapter(hint).validate_python(value)
    except ValidationError:
        problems.append((where, f"{shown(raw)} does not fit: {_expected(hint)}"))
        return value


def _made(hint: Any, raw: Any, environment: str, where: Location, problems: list[Any]) -> Any:
    if isinstance(raw, Mapping) and "ref" in raw:
        return _reference(raw, environment, where, problems)
    if isinstance(raw, Mapping) and set(raw) == {"join"} and isinstance(raw["join"], list):
        parts = [_made(str, part, environment, (*where, "join", n), problems) for n, part in enumerate(raw["join"])]
        return Join(tuple(parts))
    if isinstance(raw, Mapping) and (record := _record_type(hint)):
        values = _record(record, raw, environment, where, problems)
        return record(**values) if not any(spot[0][: len(where)] == where for spot in problems) else raw
    if isinstance(raw, (list, tuple)):
        inner = next((argument for argument in typing.get_args(hint) if argument is not Ellipsis), Any)
        return tuple(_made(inner, item, environment, (*where, n), problems) for n, item in enumerate(raw))
    return raw


def _reference(raw: Mapping[str, Any], environment: str, where: Location, problems: list[Any]) -> Any:
    given = {"attribute": "id", "environment": environment, **raw}
    problems += [
        ((*where, name), f"{name} is not part of a reference; that is ref, attribute, environment")
        for name in given
        if name not in ("ref", "attribute", "environment")
    ]
    if not all(isinstance(value, str) for value in given.values()) or "/" not in given["ref"]:
        problems.append((where, "a reference names an address, like {ref: subnet/public-az1}"))
        return raw
    return Ref(Key(given["environment"], given["ref"]), given["attribute"])


def _record_type(hint: Any) -> type[Any] | None:
    if isinstance(hint, type):
        return hint if dataclasses.is_dataclass(hint) and hint not in (Ref, Join) else None
    return next((record for argument in typing.get_args(hint) if (record := _record_type(argument))), None)


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    """Made once per type of field: it takes two milliseconds, and a long form may have a thousand fields."""
    return TypeAdapter(hint, config=_config(hint))


def _config(hint: Any) -> ConfigDict | None:
    return None if _record_type(hint) else ConfigDict(arbitrary_types_allowed=True)


def _expected(hint: Any) -> str:
    """A type in words."""
    names = {
        str: "text",
        int: "a whole number",
        bool: "true or false",
        type(None): "nothing",
        Ref: "a reference",
        Join: "",
    }
    if hint in names:
        return names[hint]
    if typing.get_origin(hint) is tuple:
        items = _expected(typing.get_args(hint)[0])
        return f"a list of {'mappings' if items == A_RECORD else items}"
    if arguments := typing.get_args(hint):
        return " or ".join(dict.fromkeys(words for argument in arguments if (words := _expected(argument))))
    return A_RECORD
