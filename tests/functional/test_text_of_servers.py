"""Whatever a server, AWS or a program said: no command and no state of Saltlick hands its escape sequences on.

Each function is the real one out of Salt's loader, called as `salt-run` calls it. What it would find out is replaced by the
worst that a server can say.
"""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import salt.config
import salt.loader
from support.hostile_text import EVERYTHING, HOSTILE, steering

from saltlick.commands import result, state
from saltlick.commands.result import CommandResult
from saltlick.salt_io.replies import reply_of
from saltlick.terminal import painter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CHECKOUT_FACES = {"runners": "_runners", "states": "_states"}
FOUND = {"error": EVERYTHING, EVERYTHING: [{"deep": EVERYTHING}], "lines": list(HOSTILE.values())}
SAID = CommandResult(FOUND, EVERYTHING, retcode=4)
IN_COLOUR = CommandResult(FOUND, lambda colour: painter(colour)("✗", EVERYTHING) + "\x1b[2J\x9b", retcode=4)
"""With something that was forgotten where it came in."""


def done_badly(step: Callable[[], Any]) -> CommandResult:
    """In place of a state's guard: its step is not carried out."""
    return SAID


@pytest.fixture
def opts(tmp_path: Path, checkout: Path) -> dict[str, Any]:
    given: dict[str, Any] = salt.config.master_config(None)
    given.update(root_dir=str(tmp_path), cachedir=str(tmp_path), extension_modules=str(tmp_path / "none"))
    given.update(module_dirs=[str(checkout)], file_client="local", grains={}, id="m_master")
    return given


def loaded(kind: str, opts: dict[str, Any]) -> Any:
    if kind == "runners":
        return salt.loader.runner(opts)
    return salt.loader.states({**salt.config.minion_config(None), **opts}, {}, None, None)


def functions(kind: str, opts: dict[str, Any], checkout: Path) -> dict[str, Callable[..., Any]]:
    files = [path.stem for path in (checkout / CHECKOUT_FACES[kind]).glob("*.py")]
    found = loaded(kind, opts)
    assert files
    for file in files:
        found.get(f"{file}.none")  # loads the file
    return {name: found[name] for file in files for name in list(found) if name.startswith(f"{file}.")}


def called(function: Callable[..., Any]) -> Any:
    needed = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    return function(**{each.name: "prod" for each in needed if each.kind is each.POSITIONAL_OR_KEYWORD})


@pytest.mark.parametrize("wanted", ["text", "coloured text", "data"])
@pytest.mark.parametrize("said", [SAID, IN_COLOUR], ids=["as it is", "made for a terminal"])
def test_no_runner_hands_it_on(
    wanted: str, said: CommandResult, opts: dict[str, Any], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result, "guarded", lambda *_, **__: said)
    typed = {"__cli": "salt-run", "fun": "environment.plan", "force_color": wanted == "coloured text"}
    found = functions("runners", opts | (typed if wanted != "data" else {}), checkout)
    assert len(found) > 40
    for name, function in found.items():
        returned = called(function)
        assert ("text" in returned) is (wanted != "data"), name
        if "text" in returned and said is IN_COLOUR and wanted == "coloured text":
            assert COLOURS.search(returned["text"]), name
            returned["text"] = COLOURS.sub("", returned["text"])
        assert not steering(returned), name
        json.dumps(returned, ensure_ascii=False).encode()


def test_no_state_hands_it_on(opts: dict[str, Any], checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "guarded", done_badly)
    found = functions("states", opts, checkout)
    assert len(found) > 25
    for name, function in found.items():
        returned = called(function)
        assert returned["result"] is False, name
        assert returned["comment"], name
        assert not steering(returned), name


@pytest.mark.parametrize(
    "content",
    [
        {"return": EVERYTHING},
        {"return": EVERYTHING, "retcode": 1},
        {"return": f"Traceback (most recent call last)\n{EVERYTHING}", "retcode": 1},
        {"return": f"ERROR: {EVERYTHING}", "retcode": 1},
        {"return": {"stdout": EVERYTHING, EVERYTHING: [EVERYTHING]}, "retcode": 0},
        {"return": {"error": EVERYTHING}, "retcode": 1},
        {"return": {"x": EVERYTHING}, "success": False},
    ],
)
def test_no_reply_brings_it_in(content: dict[str, Any]) -> None:
    reply = reply_of("health.check", content, 1)
    assert not steering((reply.value, reply.error))
