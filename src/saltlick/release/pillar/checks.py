"""Whether a well-formed recipe makes sense: in itself, and beside the environment whose servers it is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from zoneinfo import ZoneInfo, available_timezones

from saltlick.environment.pillar import layout
from saltlick.environment.pillar.checks.findings import PillarFinding, at, counted, repeated, unknown
from saltlick.environment.pillar.model import Environment
from saltlick.fleet.balancers.pillar import SELF, CommandSpec, Elbv2Spec, HaproxySpec, NoBalancerSpec, ServiceSpec
from saltlick.fleet.command_text import FREE_TEXT, free_text_advice, is_plain
from saltlick.fleet.placeholders import (
    BALANCER_PLACEHOLDERS,
    HOOK_PLACEHOLDERS,
    PLACEHOLDERS,
    fill_in,
    misplaced,
    misplaced_in_check,
    placeholders_in,
)
from saltlick.fleet.step import AS_ROOT, OnceStep, PlacedStep, Step, StepPlace
from saltlick.release.pillar.model import Hooks, Recipe, StrategyKind
from saltlick.release.pillar.shared import shared_names
from saltlick.release.pillar.windows import weekly
from saltlick.schema.calendar import freeze
from saltlick.schema.problems import Location, did_you_mean, nearest, shown

_TAKEN_FOR_A_NAME = re.compile(r"([^\d\W][\w.-]*)=(?!=)")
"""Source: Salt 3008, `utils/args.py: KWARG_REGEX`; minions look for it in positional arguments too."""
_OF_ONE_SERVER = frozenset({"server"})
_WITH_A_SERVER = frozenset({"pre_host", "post_host"})


def findings(recipe: Recipe, environment: Environment) -> Iterator[PillarFinding]:
    """All that is wrong with a recipe."""
    yield from unknown([recipe.servers], environment.servers, "server group", ("servers",), section="servers")
    yield from _strategy(recipe, environment)
    yield from _balancer(recipe, environment)
    yield from _once(recipe, environment)
    yield from _health(recipe)
    yield from _windows(recipe)
    yield from _placeholders(recipe)
    yield from _plain_words(recipe)
    yield from repeated(recipe.source.bridge, ("source", "bridge"))
    yield from shared_names(recipe)


def servers_of(recipe: Recipe, environment: Environment) -> tuple[str, ...]:
    """Names of the servers that the recipe is for; none where there is no such group."""
    return layout.server_names(environment, recipe.servers) if recipe.servers in environment.servers else ()


def primary(step: OnceStep, environment: Environment, recipe: Recipe) -> str | None:
    """The server that a task wants, `{environment}` and `{application}` filled in."""
    words = {"environment": environment.name, "application": recipe.application}
    known = step.primary and set(placeholders_in(step.primary)) <= set(words)
    return str(fill_in(step.primary, words)) if known else step.primary


def _strategy(recipe: Recipe, environment: Environment) -> Iterator[PillarFinding]:
    strategy, names = recipe.strategy, servers_of(recipe, environment)
    if recipe.servers in environment.servers and not names:
        yield at("servers", message=f"the group {recipe.servers} has no servers")
    if names and strategy.floor and strategy.floor.of(len(names), up=True) >= len(names):
        message = f"{strategy.floor} of {counted(len(names), 'server')} have to stay in traffic, so none could ever be taken out"
        yield at("strategy", "floor", message=message)
    if names and strategy.max_failures >= len(names):
        message = (
            f"{strategy.max_failures} failures are all of {counted(len(names), 'server')}: nothing would ever be undone"
        )
        yield at("strategy", "max_failures", message=message)
    if strategy.kind is StrategyKind.IN_PLACE and recipe.source.bridge:
        yield at(
            "source", "bridge", message="only `prepared` releases have folders of their own; there is nothing to bridge"
        )


def _balancer(recipe: Recipe, environment: Environment) -> Iterator[PillarFinding]:
    spec = recipe.balancer
    if isinstance(spec, HaproxySpec):
        groups = [group for group in spec.on if group != SELF]
        yield from unknown(groups, environment.servers, "server group", ("balancer", "on"), section="servers")
        if SELF in spec.on and len(spec.on) > 1:
            yield at(
                "balancer",
                "on",
                message="`self` goes alone: each server has an HAProxy of its own, or groups have them",
            )
    if not isinstance(spec, Elbv2Spec):
        return
    yield from unknown([spec.name], environment.balancers, "balancer", ("balancer", "name"), section="balancers")
    if (there := environment.balancers.get(spec.name)) is None:
        return
    if recipe.servers not in there.servers and recipe.servers in environment.servers:
        yield at(
            "balancer",
            "name",
            message=f"{spec.name} is not in front of {recipe.servers}, but of {', '.join(there.servers)}",
        )
    if spec.drain_s < there.drain_s:
        message = (
            f"{spec.drain_s} s are less than the {there.drain_s} s for which AWS lets requests end (`drain_s` of the balancer "
            f"{spec.name}): servers would be stopped with requests in flight"
        )
        yield at("balancer", "drain_s", message=message)


def _once(recipe: Recipe, environment: Environment) -> Iterator[PillarFinding]:
    names = servers_of(recipe, environment)
    for number, step in enumerate(recipe.once):
        wanted = primary(step, environment, recipe)
        if wanted is not None and names and wanted not in names:
            message = f"there is no server {wanted} in {recipe.servers}{did_you_mean(wanted, names)}"
            yield at("once", number, "primary", message=message)


def _health(recipe: Recipe) -> Iterator[PillarFinding]:
    health = recipe.health
    if not health.checks and isinstance(recipe.balancer, NoBalancerSpec):
        yield at("health", "checks", message="nothing would say whether a server is well: give it a check")
    if (least := (health.successes - 1) * health.interval_s) >= health.deadline_s:
        message = (
            f"{health.successes} good answers, {health.interval_s:g} s apart, take {least:g} s, not {health.deadline_s}"
        )
        yield at("health", "deadline_s", message=message)


def _windows(recipe: Recipe) -> Iterator[PillarFinding]:
    if recipe.windows is None:
        return
    readers: tuple[tuple[str, Iterable[str], Callable[[str], object]], ...] = (
        ("deny", recipe.windows.deny, weekly),
        ("freeze", recipe.windows.freeze, freeze),
    )
    for key, texts, read in readers:
        for number, text in enumerate(texts):
            try:
                read(text)
            except ValueError as error:
                yield at("windows", key, number, message=str(error))
    try:
        ZoneInfo(recipe.windows.timezone)
    except (KeyError, ValueError, OSError):
        known = available_timezones()
        hint = nearest(recipe.windows.timezone, known, 0.6) if known else "; this machine knows none: install tzdata"
        message = f"{recipe.windows.timezone} is not a time zone (write it like Europe/Berlin){hint}"
        yield at("windows", "timezone", message=message)


def _placeholders(recipe: Recipe) -> Iterator[PillarFinding]:
    for name in ("build", "once", "stop", "kill", "start"):
        for number, step in enumerate(getattr(recipe, name)):
            yield from _words_of(step, (name, number), PLACEHOLDERS)
            yield from _no_folder(recipe, (step.args, step.kwargs), (name, number))
            if isinstance(step, OnceStep) and step.undo:
                yield from _no_folder(recipe, (step.undo.args, step.undo.kwargs), (name, number, "undo"))
    yield from _placeholders_of_environment(recipe)
    yield from _placeholders_of_checks(recipe)
    yield from _placeholders_of_balancer(recipe)
    for name in Hooks.model_fields:
        for number, step in enumerate(getattr(recipe.hooks, name)):
            where = ("hooks", name, number)
            yield from _words_of(step, where, (*PLACEHOLDERS, *HOOK_PLACEHOLDERS))
            yield from _no_folder(recipe, (step.args, step.kwargs), where)
            if name not in _WITH_A_SERVER and step.on is StepPlace.MASTER:
                yield from _no_server(step, where, name)


def _placeholders_of_environment(recipe: Recipe) -> Iterator[PillarFinding]:
    for name, value in recipe.environment.items():
        yield from _known(value, ("environment", name), PLACEHOLDERS)
        yield from _no_folder(recipe, value, ("environment", name))
    if recipe.env_file and not is_plain("directory", recipe.env_file):
        message = (
            f"{shown(recipe.env_file)} has characters that a shell reads: write a path of letters, digits and /._-"
        )
        yield at("env_file", message=message)


def _placeholders_of_checks(recipe: Recipe) -> Iterator[PillarFinding]:
    for number, check in enumerate(recipe.health.checks):
        where: Location = ("health", "checks", number)
        for key in ("http", "tcp", "command", "body", "user"):
            text = getattr(check, key)
            yield from _known(text, (*where, key), PLACEHOLDERS)
            yield from _no_folder(recipe, text, (*where, key))
            for word in FREE_TEXT & {*placeholders_in(text)} if key != "command" else ():
                yield at(*where, key, message=free_text_advice(word))
        if problem := misplaced_in_check(check):
            yield at(*where, "command", message=problem)


def _placeholders_of_balancer(recipe: Recipe) -> Iterator[PillarFinding]:
    spec = recipe.balancer
    if isinstance(spec, HaproxySpec):
        for number, name in enumerate(spec.server):
            yield from _known(name, ("balancer", "server", number), BALANCER_PLACEHOLDERS)
    if isinstance(spec, CommandSpec):
        for key, steps in (("drain", spec.drain), ("restore", spec.restore)):
            for number, step in enumerate(steps):
                yield from _words_of(step, ("balancer", key, number), BALANCER_PLACEHOLDERS)
                if step.on is StepPlace.SERVER and step.runs_as_root:
                    yield at("balancer", key, number, "run", message=AS_ROOT)
    if isinstance(spec, (CommandSpec, ServiceSpec)) and spec.look:
        yield from _words_of(spec.look, ("balancer", "look"), BALANCER_PLACEHOLDERS)


def _words_of(step: Step, where: Location, known: tuple[str, ...]) -> Iterator[PillarFinding]:
    for number, value in enumerate(step.args):
        yield from _known(value, (*where, "args", number), known)
        if isinstance(value, str) and (taken := _TAKEN_FOR_A_NAME.match(value)):
            message = (
                f"Salt takes {shown(value)} for an argument named {taken[1]}: write it by its own name, under kwargs"
            )
            yield at(*where, "args", number, message=message)
    for name, value in step.kwargs.items():
        yield from _known(value, (*where, "kwargs", name), known)
    for place, message in misplaced(step):
        yield at(*where, *place, message=message)
    if isinstance(step, OnceStep):
        yield from _known(step.primary, (*where, "primary"), ("environment", "application"))
        if step.undo:
            yield from _words_of(step.undo, (*where, "undo"), known)


def _known(value: object, where: Location, known: tuple[str, ...]) -> Iterator[PillarFinding]:
    for word in dict.fromkeys(placeholders_in(value)):
        if word not in known:
            message = f"{{{word}}} is no placeholder{did_you_mean(word, known)}; braces that are meant take a space: {{ {word} }}"
            yield at(*where, message=message)


def _plain_words(recipe: Recipe) -> Iterator[PillarFinding]:
    """The folder of the application is filled into steps."""
    if not is_plain("directory", recipe.source.directory):
        message = f"{shown(recipe.source.directory)} has characters that a shell reads: write a path of letters, digits and /._-"
        yield at("source", "directory", message=message)


def _no_folder(recipe: Recipe, texts: object, where: Location) -> Iterator[PillarFinding]:
    if recipe.strategy.kind is StrategyKind.IN_PLACE and "release" in placeholders_in(texts):
        yield at(*where, message="`in_place` has no folder {release} of its own: the checkout is {directory}/source")


def _no_server(step: PlacedStep, where: Location, hook: str) -> Iterator[PillarFinding]:
    if _OF_ONE_SERVER & {*placeholders_in(step.args), *placeholders_in(step.kwargs)}:
        alternatives = "there is {servers}, or `on: server`"
        yield at(
            *where, message=f"{hook} on the master is about no single server, so {{server}} is nobody; {alternatives}"
        )
