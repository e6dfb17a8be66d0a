"""What an operator typed, read once at the border into one typed request per command.

Salt reads arguments as YAML before a runner sees them: `rev=0012345` is the number 5349 there, and `rev=on` is true. A text
argument is therefore taken as it was typed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import salt.utils.user
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo

from saltlick.errors import InvalidInput, Problem
from saltlick.jobs.request import Caller

R = TypeVar("R", bound="Request")
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


def caller(job_id: str = "", user: str = "") -> Caller:
    """Who asks: as Salt says (`sudo_ann`), else the user of this process. Salt's scheduler calls as `UNKNOWN`."""
    known = user if user and user != "UNKNOWN" else str(salt.utils.user.get_specific_user())
    return Caller(job_id=job_id, user=known)


def text(opts: Mapping[str, Any], name: str, value: object) -> str:
    """A text argument as it was typed at the command line; from elsewhere, as it came.

    Raises: ValueError.
    Source: `salt.runner.Runner.run` reads `opts["arg"]` with `parse_input`, which leaves the list as it was.
    """
    if isinstance(value, str) or value is None:
        return (value or "").strip()
    if words := _typed_words(opts, name):
        return words[-1]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{value!r} is not text; put it in quotes")


def flag(value: object) -> bool:
    """Yes or no. Anything else is an error: a dry run must not be left to chance.

    Raises: ValueError.
    """
    if isinstance(value, bool) or value is None:
        return bool(value)
    known = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False, "": False}
    if (word := str(value).strip().lower()) in known:
        return known[word]
    raise ValueError(f"{value!r} is neither True nor False")


def number(value: object, *, what: str = "a number from 0 up") -> float:
    """A number that is not negative; `what` names it in the error.

    Raises: ValueError.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    raise ValueError(f"{value} is not {what}")


def _typed_words(opts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """What was typed for one argument, before Salt read it as YAML; nothing where it came from elsewhere."""
    words = (word for word in opts.get("arg") or () if isinstance(word, str))
    return tuple(word.removeprefix(f"{name}=").strip() for word in words if word.startswith(f"{name}="))


def split_list(value: object) -> tuple[str, ...]:
    """`a,b`, a list, one word or nothing, as the command line gives it."""
    if value is None or value is False or value == "":
        return ()
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else (value,)
    return tuple(str(part).strip() for part in parts if str(part).strip())


def _as_typed(value: object, info: ValidationInfo) -> str:
    return text(_opts(info), str(info.field_name), value)


def _number(value: object, info: ValidationInfo) -> float:
    return number(_raw(value, info))


def _seconds(value: object, info: ValidationInfo) -> float:
    return number(_raw(value, info), what="a number of seconds")


def _raw(value: object, info: ValidationInfo) -> object:
    """A number as it was typed, where it was: 10:00 is 600 to YAML 1.1, and 0755 is 493."""
    words = _typed_words(_opts(info), str(info.field_name))
    return words[-1] if words else value


def _opts(info: ValidationInfo) -> Mapping[str, Any]:
    return info.context["opts"] if info.context else {}


Text = Annotated[str, BeforeValidator(_as_typed)]
Remark = Annotated[str, BeforeValidator(lambda value: str(value or ""))]
"""Words for people: whatever Salt made of them."""
Flag = Annotated[bool, BeforeValidator(flag)]
Number = Annotated[float, BeforeValidator(_number)]
Limit = Annotated[int, BeforeValidator(lambda value, info: int(_number(value, info)))]
WaitSeconds = Annotated[float, BeforeValidator(_seconds)]
Words = Annotated[tuple[str, ...], BeforeValidator(split_list)]


class Request(BaseModel):
    """The arguments of one command. `name` is what the operator named: environments, or what the command says."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: Any = None
    caller: Caller

    @classmethod
    def read(
        cls: type[R],
        opts: Mapping[str, Any],
        caller: Caller,
        name: object,
        positional: tuple[object, ...] = (),
        /,
        **keywords: Any,
    ) -> R:
        """Read what was typed. Keywords that begin with `__` are Salt's own (`__pub_jid`).

        Raises: InvalidInput with every problem.
        """
        given = {key: value for key, value in keywords.items() if not key.startswith("__")}
        problems = [
            Problem(str(word), "is one argument too many; several names are written one,two") for word in positional
        ]
        problems += [Problem(key, cls._unknown()) for key in given if key not in cls.arguments()]
        known = {key: value for key, value in given.items() if key in cls.arguments()}
        try:
            request = cls.model_validate({**known, "caller": caller, "name": name}, context={"opts": opts})
        except ValidationError as error:
            problems += [Problem(str(problem["loc"][0]), str(problem["ctx"]["error"])) for problem in error.errors()]
        if problems:
            raise InvalidInput(problems, what="arguments")
        return request

    @classmethod
    def arguments(cls) -> tuple[str, ...]:
        """The names that an operator may type, in order."""
        return tuple(name for name in cls.model_fields if name not in Request.model_fields)

    @classmethod
    def _unknown(cls) -> str:
        return f"is not an argument; there are {', '.join(cls.arguments()) or 'none'}"
