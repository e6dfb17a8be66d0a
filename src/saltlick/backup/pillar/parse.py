"""From the compiled pillar to `Backups`, or to everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from saltlick.backup.pillar.checks import findings
from saltlick.backup.pillar.model import Backups, StoreSpec
from saltlick.environment.pillar.model import Environment
from saltlick.errors import InvalidInput, Problem
from saltlick.schema.fields import Label, Model
from saltlick.schema.problems import path, problems
from saltlick.schema.readable import Readable

BACKUP_KEY = "backup"
STORES_KEY = "stores"


class Stores(Model):
    """The pillar key `stores`: by name."""

    stores: Mapping[Label, StoreSpec] = Field(default_factory=dict, description="Where backups go, by name.")


def parse_backups(pillar: Mapping[str, Any], environment: Environment) -> Backups:
    """The backups that a compiled pillar has under `backup`, to the stores it has under `stores`.

    Raises:
        InvalidInput: with every problem, each with its path.
    """
    what = f"pillar of {environment.name}"
    raw, stores = pillar.get(BACKUP_KEY), pillar.get(STORES_KEY, {})
    if not isinstance(raw, Mapping):
        message = (
            f"the pillar of {environment.name} has no backups (for the master: top file, '*_master')"
            if raw is None
            else "this has to be a mapping of names to values"
        )
        raise InvalidInput([Problem(BACKUP_KEY, message)], what=what)
    rest = Readable(raw, Backups)
    all_problems = {*_unreadable(rest.error, Backups, raw, BACKUP_KEY), *_stores(stores)}
    known = stores if isinstance(stores, Mapping) else {}
    all_problems |= set(_senseless(rest, known, environment))
    if all_problems or not rest.value:
        raise InvalidInput(sorted(all_problems), what=what)
    return rest.value


def _stores(raw: Any) -> Iterator[Problem]:
    try:
        Stores.model_validate({STORES_KEY: raw})
    except ValidationError as error:
        for problem in problems(error, Stores, {STORES_KEY: raw}, ""):
            yield Problem(problem.path.removeprefix("."), problem.message)


def _unreadable(error: ValidationError | None, model: type[BaseModel], raw: Any, root: str) -> tuple[Problem, ...]:
    return problems(error, model, raw, root) if error else ()


def _senseless(rest: Readable[Backups], stores: Mapping[str, Any], environment: Environment) -> Iterator[Problem]:
    for finding in findings(rest.value, stores, environment) if rest.value else ():
        location = rest.original(finding.location)
        if not any(rest.concerns(place) for place in (location, *finding.lacks)):
            yield Problem(path(location, BACKUP_KEY), finding.message)
