"""Steps of a recipe: ordinary Salt functions with arguments, as a mapping or one line of text, or a command (`run`)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from saltlick.schema.fields import Model, form
from saltlick.schema.problems import shown

LABEL_LIMIT = 80
DIRECT_S = 60
BUILD_S = 900

_KEYWORD = re.compile(r"([A-Za-z_]\w*)=(?!=)(.*)", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d+)?")

Function = Annotated[
    StrictStr, form(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", "a Salt function (write it like service.restart)")
]
Seconds = Annotated[StrictInt, Field(ge=1, le=86400)]


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{shown(value)} is not a regular expression: {error}") from error
    return value


Expression = Annotated[StrictStr, AfterValidator(_expression)]


def _command(value: Any) -> Any:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, (list, tuple)) and texts and all(isinstance(text, str) and text.strip() for text in texts):
        return value if isinstance(value, str) else tuple(texts)
    raise ValueError(f"{shown(value)} is no command: write a text, or a list of texts that no shell reads")


Command = Annotated[
    Any,
    BeforeValidator(_command),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]

COMMAND_FUNCTION = "cmd.run_all"
AS_ROOT = "it would run as root: say `user`, which only steps of a release have by default"
SHORT = {"run": "cmd", "cwd": "cwd", "user": "runas", "env": "env"}
"""The keys of a short step, and the arguments of Salt's function that they are."""


class StepPlace(str, Enum):
    """Where a step runs."""

    SERVER = "server"
    MASTER = "master"


class Step(Model):
    """One Salt function with its arguments, or the same as a line of text: `supervisord.stop all`. Or a command: `run`.

    It fails when there is no answer in time, when the function raises or its exit code is not zero, when the value is
    false, `{"result": false}` or has a `retcode` that is not zero, or when `expect` is not found in the value's text.
    """

    call: Function = Field(
        description="The function, like `cmd.run_all`, or it with its arguments as a line. Or `run`."
    )
    args: tuple[Any, ...] = Field((), description="Its arguments by position.")
    kwargs: Mapping[StrictStr, Any] = Field(default_factory=dict, description="Its arguments by name.")
    name: StrictStr = Field("", max_length=LABEL_LIMIT, description="What people read. Left out: the call itself.")
    deadline_s: Seconds = Field(DIRECT_S, description="How long it may take.")
    expect: Expression | None = Field(None, description="Regular expression that has to be found in what it returns.")
    run: Command = Field(
        None,
        exclude=True,
        description="A command, in place of `call`: a text that a shell reads, or a list that none does. In a recipe for "
        "releases it runs as the application's user in the folder of its revision, unless `user` or `cwd` say otherwise.",
    )
    cwd: StrictStr | None = Field(None, exclude=True, description="The folder that `run` begins in.")
    user: StrictStr | None = Field(None, exclude=True, description="The user that `run` runs as.")
    env: Mapping[StrictStr, StrictStr] | None = Field(None, exclude=True, description="Environment variables of `run`.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """`supervisord.stop all`, alone or as `call` beside other keys."""
        if isinstance(value, str):
            return read_line(value)
        if isinstance(value, Mapping) and SHORT.keys() & value.keys():
            return _long_form(value)
        if not isinstance(value, Mapping) or not isinstance(line := value.get("call"), str) or " " not in line:
            return value
        read = read_line(line)
        return {key: item for key, item in read.items() if item} | {k: v for k, v in value.items() if k != "call"}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shape = handler.resolve_ref_schema(handler(core))
        required = [name for name in shape.get("required", ()) if name != "call"]
        shape = {**shape, "required": required, "anyOf": [{"required": ["call"]}, {"required": ["run"]}]}
        return {"anyOf": [{"type": "string", "examples": ["supervisord.stop all"]}, shape]}

    @property
    def runs_as_root(self) -> bool:
        """Whether it is a short step that names no user."""
        return self.run is not None and self.user is None

    @property
    def label(self) -> str:
        """What people read."""
        words = [*map(str, self.args), *(f"{key}={value}" for key, value in self.kwargs.items())]
        return self.name or shown(" ".join((self.call, *words)))


class BuildStep(Step):
    """A step that may take long: it runs detached on the server, with its output kept."""

    deadline_s: Seconds = Field(BUILD_S, description="How long it may take.")


class When(str, Enum):
    """When a task that runs once has its turn."""

    BEFORE = "before"
    AFTER = "after"


class OnceStep(BuildStep):
    """A task on exactly one server for the whole release; it is never repeated, however often a release is resumed."""

    when: When = Field(
        When.BEFORE,
        description="`before` the first server goes out (`in_place`: on the first server, before its start), "
        "or `after` all servers are done.",
    )
    primary: StrictStr | None = Field(None, description="The server that does it. Left out: the first in order.")
    undo: BuildStep | None = Field(
        None, description="What takes it back. Left out: it is not undone when the release is, which is then said."
    )


class PlacedStep(Step):
    """A step that runs on the master unless it says `on: server`. There, a runner's function or an execution module's."""

    on: StepPlace = Field(StepPlace.MASTER, description="Where it runs.")


def _long_form(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """A short step with the call that it stands for.

    Raises:
        ValueError: when it is written in both ways, or has only what belongs to one.
    """
    if "run" not in value:
        alone = next(key for key in SHORT if key in value)
        raise ValueError(f"`{alone}` belongs to `run`; an argument of `call` stands under `kwargs`")
    if both := sorted({"call", "args", "kwargs"} & value.keys()):
        raise ValueError(f"a step is written with `run` or with `{both[0]}`, not with both")
    command = value["run"]
    named = {SHORT[key]: value[key] for key in SHORT if value.get(key) is not None}
    label = {} if value.get("name") else {"name": _label(command)}
    return {**value, **label, "call": COMMAND_FUNCTION, "kwargs": {**named, "python_shell": isinstance(command, str)}}


def _label(command: Any) -> str:
    text = (
        command
        if isinstance(command, str)
        else shlex.join(map(str, command))
        if isinstance(command, (list, tuple))
        else ""
    )
    line = " ".join(text.split())
    return line if len(line) <= LABEL_LIMIT else f"{line[: LABEL_LIMIT - 1]}…"


def read_line(text: str) -> dict[str, Any]:
    """`git.checkout /srv/app {sha} user=app` as the mapping it stands for; values as Salt reads them on a command line.

    Raises:
        ValueError: when there is nothing in it, or a quote is not closed.
    """
    try:
        function, *words = shlex.split(text)
    except ValueError as error:
        reason = "it has no function" if not text.strip() else str(error).lower()
        raise ValueError(f"{shown(text) or 'an empty text'} cannot be read as a step: {reason}") from error
    named = [_KEYWORD.fullmatch(word) for word in words]
    return {
        "call": function,
        "args": tuple(_scalar(word) for word, match in zip(words, named, strict=True) if not match),
        "kwargs": {match[1]: _scalar(match[2]) for match in named if match},
    }


def _scalar(word: str) -> Any:
    """A number, true, false, null or text. `0755`, `12:30`, `1_000` and dates stay text, whatever YAML 1.1 thinks of them."""
    try:
        value = yaml.safe_load(word)
    except yaml.YAMLError:
        return word
    if isinstance(value, bool) or (value is None and word.lower() in {"null", "~"}):
        return value
    return value if isinstance(value, (int, float)) and _NUMBER.fullmatch(word) else word
