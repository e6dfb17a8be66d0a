"""What a server without a release gets at its first highstate: the revision that the others run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saltlick.commands.release.context import open_journal
from saltlick.environment.pillar import layout
from saltlick.errors import InvalidInput
from saltlick.release.pillar import parse_recipe
from saltlick.release.pillar.parse import RELEASE_KEY
from saltlick.release.planning.rollback_target import good_revisions
from saltlick.release.steps import server_calls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saltlick.environment.pillar import Environment
    from saltlick.fleet.ports import Fleet

PILLAR_KEY = "released"
ASK_S = 20.0


def released_pillar(
    opts: Mapping[str, Any], environment: Environment, pillar: Mapping[str, Any], servers: Sequence[str], fleet: Fleet
) -> dict[str, Any]:
    """`{"released": {"app": "<sha>"}}` for these servers, where one of them belongs to the recipe's group; else nothing.

    The journal's good revision, or where this master's journal has none, as that of a new master, the one that all servers of
    the group run that have one. Nothing where there is neither: a recipe that is for other environments, or that is wrong, is in
    no deployment's way (`release.plan` tells what is wrong).
    """
    raw = pillar.get(RELEASE_KEY)
    application, group = (raw.get("application"), raw.get("servers")) if isinstance(raw, Mapping) else (None, None)
    if not isinstance(application, str) or not isinstance(group, str) or group not in environment.servers:
        return {}
    names = layout.server_names(environment, group)
    if not {*names} & {*servers}:
        return {}
    with open_journal(opts) as journal:
        good = good_revisions(journal.history(environment.name, application=application))
    sha = good[0] if good else _run_by_all(pillar, environment, names, fleet)
    return {PILLAR_KEY: {application: sha}} if sha else {}


def _run_by_all(pillar: Mapping[str, Any], environment: Environment, servers: Sequence[str], fleet: Fleet) -> str:
    """The one revision of those that have one; empty where they differ, none has, or the recipe does not say where it is."""
    try:
        recipe = parse_recipe(pillar, environment)
    except InvalidInput:
        return ""
    call = server_calls.current(recipe.source, recipe.strategy.kind)
    replies = fleet.run(dict.fromkeys(servers, call), deadline_s=ASK_S)
    current = {str(reply.value) for reply in replies.values() if reply.ok and reply.value}
    return current.pop() if len(current) == 1 else ""
