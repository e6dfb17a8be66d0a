"""Each Salt function that a recipe of ours, or the release itself, calls exists in this Salt and takes those arguments."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import BaseModel

from saltlick.environment.pillar import Environment, parse_environment
from saltlick.fleet.placeholders import fill
from saltlick.fleet.ports import Call
from saltlick.fleet.step import Step
from saltlick.release.pillar import HOOK_PLACEHOLDERS, PLACEHOLDERS, fill_check, parse_recipe
from saltlick.release.pillar.model import StrategyKind
from saltlick.release.steps import server_calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VIRTUAL = {"cmd": "cmdmod", "service": "systemd_service"}
PASSED_ON = {"http.query": ("salt.utils.http", "query")}
"""Functions that take anything and hand it to another, which is looked at instead."""
WORDS = {word: f"@{word}" for word in (*PLACEHOLDERS, *HOOK_PLACEHOLDERS)}
SHA = "f5d98594c2a7e0b1d3f6a8895c4e7b2013d6fa48"


def module(checkout: Path, name: str) -> ModuleType:
    own = checkout / "_modules" / f"{name}.py"
    if not own.exists():
        return importlib.import_module(f"salt.modules.{VIRTUAL.get(name, name)}")
    found = importlib.util.spec_from_file_location(f"recipes_{name}", own)
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(own.parent))  # as Salt's loader has it: a module's helpers lie beside it
        found.loader.exec_module(made)
    return made


def require(checkout: Path, call: Call) -> None:
    """Raises unless Salt has that function and it takes these arguments by their own names (`**kwargs` takes anything)."""
    name, _, function = call.function.rpartition(".")
    found = module(checkout, name)
    real = getattr(found, "__func_alias__", {})
    function = next((inner for inner, outer in real.items() if outer == function), function)
    if call.function in PASSED_ON:
        room, function = PASSED_ON[call.function]
        found = importlib.import_module(room)
    signature = inspect.signature(getattr(found, function))
    bound = signature.bind(*call.args, **call.kwargs)
    assert not set(bound.arguments.get("kwargs", {})), f"{call.function} has no arguments {bound.arguments['kwargs']}"


def steps(value: Any) -> Iterator[Step]:
    """Every step in a recipe, wherever."""
    if isinstance(value, Step):
        yield value
    within = [each for _, each in value] if isinstance(value, BaseModel) else ()
    for each in value if isinstance(value, (tuple, list)) else within:
        yield from steps(each)


@pytest.fixture(scope="module")
def environment(checkout: Path) -> Environment:
    return parse_environment(
        yaml.safe_load((checkout / "pillar/test/environment.sls").read_text("utf-8")), environment="test"
    )


@pytest.mark.parametrize("path", ["common/release.sls", "common/examples/plone/release.sls"])
def test_every_function_of_a_recipe_is_salts(checkout: Path, environment: Environment, path: str) -> None:
    recipe = parse_recipe(yaml.safe_load((checkout / "pillar" / path).read_text("utf-8")), environment)
    found = list(steps(recipe))
    assert len(found) >= 4
    for step in found:
        require(checkout, fill(step, WORDS))
    for check in recipe.health.checks:
        require(checkout, fill_check(check, recipe.health, WORDS))


def test_there_is_no_recipe_that_nobody_looked_at(checkout: Path) -> None:
    found = {str(path.relative_to(checkout / "pillar")) for path in checkout.glob("pillar/**/release.sls")}
    assert found == {"common/release.sls", "common/examples/plone/release.sls"}


def test_what_a_release_calls_by_itself_is_there(checkout: Path, environment: Environment) -> None:
    raw = yaml.safe_load((checkout / "pillar/common/release.sls").read_text("utf-8"))
    source = parse_recipe(raw, environment).source
    told = [
        server_calls.current(source, StrategyKind.IN_PLACE),
        server_calls.resolve(source, StrategyKind.PREPARED, "main"),
        server_calls.free(source),
        server_calls.prepare(source, SHA, "id"),
        server_calls.built(source, SHA, "id"),
        server_calls.activate(source, SHA),
        server_calls.checkout(source, SHA),
        server_calls.mark(source, SHA, "id", good=True),
        server_calls.prune(source, SHA),
        server_calls.note("a line"),
        server_calls.forget_jobs(),
        Call("detached.start", ("id", "test.ping"), {"args": [], "kwargs": {}, "deadline_s": 900}),
        *(Call(f"detached.{verb}", ("id",)) for verb in ("status", "kill")),
        server_calls.requests_seen("/var/log/x", 0, 1),
        Call("health.command", ("true",), {"runas": "app", "timeout_s": 5}),
        Call("haproxy_runtime.show", ("app",), {"socket": "/run/x"}),
        *(Call(f"haproxy_runtime.{verb}", ("app", "a"), {"socket": "/run/x"}) for verb in ("drain", "maint", "ready")),
        *(Call(f"service.{verb}", ("varnish",)) for verb in ("start", "stop", "status")),
    ]
    for call in told:
        require(checkout, call)


@pytest.mark.parametrize(
    "call",
    [Call("supervisord.halt"), Call("supervisord.stop", (), {"nome": "x"}), Call("cmd.run_all", ("x",), {"cwdd": "/"})],
)
def test_a_wrong_call_is_seen(checkout: Path, call: Call) -> None:
    with pytest.raises((AssertionError, AttributeError, TypeError)):
        require(checkout, call)


def test_the_master_has_the_recipe_and_no_server_has(checkout: Path, tmp_path: Path) -> None:
    import salt.config as salt_config
    import salt.pillar as salt_pillar

    opts = salt_config.master_config(None)
    folders = {name: str(tmp_path) for name in ("root_dir", "cachedir", "pki_dir", "sock_dir", "extension_modules")}
    roots = {"test": [str(checkout / "pillar/test"), str(checkout / "pillar/common")]}
    opts.update(**folders, pillar_roots=roots)

    def compiled(minion: str) -> dict[str, Any]:
        return dict(salt_pillar.get_pillar(opts, {"id": minion}, minion, pillarenv="test").compile_pillar())

    of_master = compiled("salt-master_master")
    recipe = parse_recipe(of_master, parse_environment(of_master, environment="test"))
    assert (recipe.application, recipe.balancer.kind) == ("app", "elbv2")
    assert "release" not in compiled("test-app-1")
