"""What a server may say to steer a terminal, and whether any of it is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

HOSTILE = {
    "the screen away, and green": "\x1b[2J\x1b[H\x1b[32mall well\x1b[0m",
    "the clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07after",
    "the clipboard, ended otherwise": "\x1b]52;c;cm0gLXJmIC8=\x1b\\after",
    "a title that never ends": "\x1b]0;title",
    "eight bits": "\x9b2J\x9d52;c;eA==\x9cafter",
    "a device's answer": '\x1bP$q"p\x1b\\\x1b[6n\x05',
    "one in another": "\x1b\x1b[2J[2J\x1b]\x1b]52;c;eA==\x07",
    "the line again": "failed\rwell  ",
    "a line of its own": "failed\nprod-app-1: accepted",
    "backspaces": "failed\b\b\b\b\b\bwell",
    "text turned around": "\u202egnp.exe\u2066\u2069\u200f\u061c",
    "letters that nobody sees": "a\u200b\u2060\ufeff\u180e\U000e0041b",
    "lines of Unicode": "a\u2028b\u2029c\x85d\x0bf\x0cg",
    "half a character": "a\udc9b2J\ud83db",
}
EVERYTHING = "".join(HOSTILE.values())

_LEFT = frozenset(
    [
        *(chr(code) for code in (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))),
        *"\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff",
        *(chr(code) for code in (*range(0xD800, 0xE000), *range(0xE0000, 0xE0080))),
    ]
)


def steering(value: Any) -> set[str]:
    """Every character in plain data that would steer a terminal or hide something."""
    return {character for text in _texts(value) for character in text if character in _LEFT}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (*_texts(key), *_texts(item))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item)
