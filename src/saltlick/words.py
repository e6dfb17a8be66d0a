"""Text that servers, AWS and programs say, made fit for a terminal, a message and a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_STEERING = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # colours and window titles, whole
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # controls
    r"|[\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"  # what turns text around, or breaks its line
    r"|[\ud800-\udfff\U000e0000-\U000e007f]"  # halves of characters, which no terminal takes, and letters that nobody sees
)
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def clean(text: str) -> str:
    """Text from servers without what would steer a terminal or hide in a page; lines and tabs stay."""
    return _STEERING.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """The same on one line: what was said cannot begin a line of its own, and look like one of ours."""
    return " ".join(clean(text).splitlines())


def cleaned(value: Any) -> Any:
    """Plain data with every text in it clean, keys too, however deep."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {cleaned(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return value


def printable(text: str, *, colour: bool) -> str:
    """Text at the moment it is printed: clean, except for our own colours where they are wanted."""
    if not colour:
        return clean(text)
    return "".join(part if number % 2 else clean(part) for number, part in enumerate(_COLOUR.split(text)))
