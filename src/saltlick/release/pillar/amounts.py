"""How many servers: a count, or a percent of the group."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from saltlick.schema.problems import shown

_PERCENT = re.compile(r"(\d{1,3})\s*%")


@dataclass(frozen=True, slots=True)
class Amount:
    """`Amount(2)` servers, or `Amount(25, percent=True)` of them."""

    number: int
    percent: bool = False

    def of(self, total: int, *, up: bool = False) -> int:
        """How many of `total`: a percent is rounded down, or `up`; never more than there are."""
        if not self.percent:
            return min(self.number, total)
        return -(-total * self.number // 100) if up else total * self.number // 100

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


def amount(value: Any) -> Amount:
    """`2`, `"2"` or `"25%"`.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, Amount):
        return value
    text = str(value).strip()
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        if share := _PERCENT.fullmatch(text):
            if int(share[1]) > 100:
                raise ValueError(f"{text} is more than there is: 100% are all servers")
            return Amount(int(share[1]), percent=True)
        if text.isdecimal():
            return Amount(int(text))
    raise ValueError(f"{shown(value)} is neither a count nor a percent (write it like 2 or 25%)")


def _some(value: Any) -> Amount:
    if (parsed := amount(value)).number == 0:
        raise ValueError("a batch has at least one server")
    return parsed


def as_list(value: Any) -> Any:
    """One value stands for a list of one, and `1,25%,100%` for three."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    return value if isinstance(value, (list, tuple)) else (value,)


def _plain(value: Amount) -> int | str:
    return str(value) if value.percent else value.number


_ONE: dict[str, Any] = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d{1,3}\s*%$"}]}
_PLAIN = PlainSerializer(_plain, return_type=int | str)

Floor = Annotated[Amount, BeforeValidator(amount), _PLAIN, WithJsonSchema(_ONE)]
Batch = Annotated[
    tuple[Annotated[Amount, BeforeValidator(_some), _PLAIN], ...],
    BeforeValidator(as_list),
    WithJsonSchema({"anyOf": [*_ONE["anyOf"], {"type": "string"}, {"type": "array", "items": _ONE}]}),
]
