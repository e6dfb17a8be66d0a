"""Turns what pydantic found into problems that an operator can read: the path in the pillar, and a plain sentence."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from saltlick.errors import Problem

ENVIRONMENT_KEY = "environment"

Location = tuple["str | int", ...]
"""Steps from `environment` down: names and places in lists."""

_SENTENCES = {
    "bool_type": "{value} is neither true nor false",
    "bool_parsing": "{value} is neither true nor false",
    "int_type": "{value} is not a whole number",
    "int_parsing": "{value} is not a whole number",
    "int_from_float": "{value} is not a whole number",
    "float_type": "{value} is not a number",
    "float_parsing": "{value} is not a number",
    "string_type": "{value} is not text",
    "tuple_type": "this has to be a list, not {value}",
    "list_type": "this has to be a list, not {value}",
    "dict_type": "this has to be a mapping of names to values, not {value}",
    "mapping_type": "this has to be a mapping of names to values, not {value}",
    "is_instance_of": "this has to be a mapping of names to values, not {value}",
    "model_type": "this has to be a mapping of names to values, not {value}",
    "missing": "this has to be given",
    "greater_than_equal": "{value} is too small: {ge} is the least",
    "less_than_equal": "{value} is too large: {le} is the most",
    "too_short": "this needs at least {min_length}",
    "string_too_short": "this must not be empty",
    "string_too_long": "{value} is too long: {max_length} characters are the most",
    "enum": "{value} is none of: {expected}",
    "literal_error": "{value} is none of: {expected}",
    "string_pattern_mismatch": "{value} is not of the form expected here ({pattern})",
}


def problems(error: ValidationError, model: type[BaseModel], raw: Any, root: str) -> tuple[Problem, ...]:
    """Every finding of a failed validation of `raw` by `model`, once each, in the order of the pillar."""
    all_problems = {
        Problem(path(location, root), _sentence(detail, model, location))
        for detail in details(error)
        for location in [as_written(detail["loc"], raw, detail["type"])]
    }
    return tuple(sorted(all_problems))


def details(error: ValidationError) -> Iterator[Any]:
    """Pydantic's errors, but for lists it calls short only because it could not read their items."""
    for detail in error.errors():
        if detail["type"] != "too_short" or len(detail["input"]) < detail["ctx"]["min_length"]:
            yield detail


def path(location: Location, root: str) -> str:
    """`environment.subnets.private.cidrs[1]`."""
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """`; did you mean x?`, or what is known where nothing is near."""
    names = sorted(set(known))
    if near := nearest(word, names, 0.6 if len(word) > 4 else 0.5):
        return near
    return f"; there is {', '.join(names)}" if names else "; there is none"


def nearest(word: str, known: typing.Iterable[str], likeness: float) -> str:
    """`; did you mean x?` where something is that near, else nothing."""
    matches = get_close_matches(word, known, n=1, cutoff=likeness)
    return f"; did you mean {matches[0]}?" if matches else ""


def shown(value: Any) -> str:
    """A value as short as a message can take."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_written(location: Location, raw: Any, kind: str) -> Location:
    """The steps of a location that exist in the pillar: pydantic's own (union branches, lists made of one) left out."""
    steps: list[str | int] = []
    for step in location:
        if isinstance(step, int) and isinstance(raw, (list, tuple)):
            raw = raw[step] if step < len(raw) else None
            steps.append(step)
        elif isinstance(raw, Mapping) and step in raw:
            raw = raw[step]
            steps.append(step)
    if kind == "missing":
        steps.append(location[-1])
    return tuple(steps)


def _sentence(detail: Any, model: type[BaseModel], location: Location) -> str:
    context = detail.get("ctx", {})
    if "error" in context:
        return str(context["error"])
    value = shown(detail.get("input"))
    if detail["type"] == "extra_forbidden":
        known = _known(model, detail["loc"][:-1]) or _known(model, location[:-1])
        return f"{location[-1]} is not known here{did_you_mean(str(location[-1]), known)}"
    if detail["type"] == "string_type" and isinstance(detail["input"], (int, float, date)):
        return f"{value} is not text; put it in quotes if it is meant as text"
    template = _SENTENCES.get(detail["type"], "{value}: " + detail["msg"].lower())
    return str(template.format_map({"value": value, **context}))


def _known(model: Any, location: Location) -> tuple[str, ...]:
    """The keys that the part of the model at this location takes."""
    for step in location:
        model = _inside(model, step)
    known_model = next(_models(model), None)
    return tuple(field.alias or name for name, field in known_model.model_fields.items()) if known_model else ()


def _inside(annotation: Any, step: str | int) -> Any:
    for model in _models(annotation):
        for name, field in model.model_fields.items():
            if step == (field.alias or name):
                return field.annotation
    arguments = [argument for argument in typing.get_args(annotation) if argument is not Ellipsis]
    tagged = (
        argument
        for argument in arguments
        if any(getattr(mark, "tag", None) == step for mark in typing.get_args(argument)[1:])
    )
    return next(tagged, arguments[-1] if arguments else None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models an annotation may stand for, through `X | None` and `Annotated`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for argument in typing.get_args(annotation):
            yield from _models(argument)
    elif typing.get_origin(annotation) is typing.Annotated:
        yield from _models(typing.get_args(annotation)[0])
