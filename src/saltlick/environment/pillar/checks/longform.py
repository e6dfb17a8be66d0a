"""The long form: kinds, properties, addresses and references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saltlick.engine.resource import Key, Ref, references
from saltlick.environment.pillar.checks.findings import PillarFinding, at
from saltlick.environment.pillar.longform import MisfitError, fields
from saltlick.environment.pillar.model import Environment, LongForm
from saltlick.kinds import KINDS
from saltlick.schema.problems import did_you_mean, nearest

Addresses = Mapping[str, frozenset[str]]
"""Environment to the addresses in it."""


def findings(environment: Environment) -> Iterator[PillarFinding]:
    """What can be said of each entry without the short form."""
    seen: set[str] = set()
    for number, entry in enumerate(environment.resources):
        where = ("resources", number)
        if entry.kind not in KINDS:
            yield at(*where, "kind", message=f"there is no kind {entry.kind}{did_you_mean(entry.kind, KINDS)}")
            continue
        if (address := f"{entry.kind}/{entry.name}") in seen:
            yield at(*where, message=f"{address} is in the list twice")
        seen.add(address)
        yield from _properties(environment, entry, where)


def _properties(environment: Environment, entry: LongForm, where: tuple[str, int]) -> Iterator[PillarFinding]:
    try:
        _values(environment, entry)
    except MisfitError as misfit:
        for inside, message in misfit.problems:
            yield at(*where, "properties", *inside, message=message)


def _values(environment: Environment, entry: LongForm) -> dict[str, Any]:
    return fields(KINDS[entry.kind].properties, entry.properties, environment.name, partial=entry.override)


def beside_short_form(
    environment: Environment, short_form: frozenset[str], others: Addresses
) -> Iterator[PillarFinding]:
    """Addresses that collide or are missing, and references that lead nowhere."""
    own = short_form | {f"{entry.kind}/{entry.name}" for entry in environment.resources}
    known = {**others, environment.name: own}
    for number, entry in enumerate(environment.resources):
        where = ("resources", number)
        yield from _address(entry, short_form, where)
        for ref in references(_values(environment, entry)):
            yield from _reference(ref, known, (*where, "properties"))
        for place, address in enumerate(entry.after):
            yield from _reference(Ref(Key(environment.name, address)), known, (*where, "after", place))


def _address(entry: LongForm, short_form: frozenset[str], where: tuple[str, int]) -> Iterator[PillarFinding]:
    address = f"{entry.kind}/{entry.name}"
    if address in short_form and not entry.override:
        yield at(*where, message=f"the short form makes {address} already; say `override: true` to change it")
    if address not in short_form and entry.override:
        message = f"nothing to override: the short form makes no {address}{nearest(address, short_form, 0.8)}"
        yield at(*where, message=message)


def _reference(ref: Ref, known: Addresses, where: tuple[str | int, ...]) -> Iterator[PillarFinding]:
    if (environment := ref.key.environment) not in known:
        yield at(*where, message=f"{ref}: {environment} is neither this environment nor a peer of it")
    elif ref.key.address not in known[environment]:
        near = nearest(ref.key.address, known[environment], 0.8)
        yield at(*where, message=f"there is no {ref.key.address} in {environment}{near}")
    elif ref.attribute not in (attributes := KINDS[ref.key.kind].attributes):
        yield at(*where, message=f"{ref.key.address} has no {ref.attribute}{did_you_mean(ref.attribute, attributes)}")
