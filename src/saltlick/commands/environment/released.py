"""What a server without a release gets at its first highstate: the revision that the others run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.release.context import open_journal, release_servers
from saltlick.release.pillar import parse_recipe
from saltlick.release.pillar.parse import RELEASE_KEY
from saltlick.release.planning.rollback_target import good_revisions
from saltlick.release.steps import server_calls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from saltlick.environment.pillar import Environment
    from saltlick.fleet.ports import Fleet
    from saltlick.release.pillar import Recipe

PILLAR_KEY = "released"
ASK_S = 20.0


def released_pillar(
    opts: Mapping[str, Any], environment: Environment, pillar: Mapping[str, Any], servers: Sequence[str], fleet: Fleet
) -> dict[str, Any]:
    """`{"released": {"app": "<sha>"}}` for these servers, where one of them belongs to the recipe's group; else nothing.

    The journal's good revision, or where this master's journal has none, as that of a new master, the one that all servers of
    the group run that have one. Nothing where there is neither.

    Raises: InvalidInput for a recipe that is wrong.
    """
    if RELEASE_KEY not in pillar:
        return {}
    recipe = parse_recipe(pillar, environment)
    group = [server.name for server in release_servers(environment, recipe)]
    if not {*group} & {*servers}:
        return {}
    with open_journal(opts) as journal:
        good = good_revisions(journal.history(environment.name, application=recipe.application))
    sha = good[0] if good else _run_by_all(recipe, group, fleet)
    return {PILLAR_KEY: {recipe.application: sha}} if sha else {}


def _run_by_all(recipe: Recipe, group: Sequence[str], fleet: Fleet) -> str:
    """The one revision of those that have one; empty where they differ, or none has."""
    call = server_calls.current(recipe.source, recipe.strategy.kind)
    replies = fleet.run(dict.fromkeys(group, call), deadline_s=ASK_S)
    current = {str(reply.value) for reply in replies.values() if reply.ok and reply.value}
    return current.pop() if len(current) == 1 else ""
