"""What an operator typed, before Salt read it as YAML: there, `rev=0012345` is the number 5349, and `rev=on` is true."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

from saltlick.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping


def text_argument(opts: Mapping[str, Any], name: str, value: object) -> str:
    """A text argument as it was written at the command line; from elsewhere, as it came.

    Source: `salt.runner.Runner.run` reads `opts["arg"]` with `parse_input`, which leaves the list as it was.
    """
    if isinstance(value, str) or value is None:
        return (value or "").strip()
    raw = [word for word in opts.get("arg") or () if isinstance(word, str) and word.startswith(f"{name}=")]
    if raw:
        return str(raw[-1].removeprefix(f"{name}=")).strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidInput([Problem(name, f"{value!r} is not text; put it in quotes")], what="arguments")


def flag_argument(name: str, value: object) -> bool:
    """Yes or no.

    Raises: InvalidInput for anything else: what is a dry run is not left to chance.
    """
    if isinstance(value, bool) or value is None:
        return bool(value)
    known = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False, "": False}
    if (word := str(value).strip().lower()) in known:
        return known[word]
    raise InvalidInput([Problem(name, f"{value!r} is neither True nor False")], what="arguments")


def number_argument(name: str, value: object, *, what: str = "a number from 0 up") -> float:
    """A number that is not negative; `what` it is called where it is none.

    Raises: InvalidInput.
    """
    with contextlib.suppress(TypeError, ValueError):
        if 0 <= (found := float(value)) < math.inf:  # type: ignore[arg-type]
            return found
    raise InvalidInput([Problem(name, f"{value} is not {what}")], what="arguments")
