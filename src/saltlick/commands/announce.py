"""Tells people how things stand, as the pillars of their environments say. Nothing here can change a command's result."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from saltlick.commands.terminal import local_zone
from saltlick.errors import InvalidInput
from saltlick.notify import apprise_urls
from saltlick.notify.delivery import Delivery, Postman, deliver
from saltlick.notify.pillar import Notify, parse_notify
from saltlick.notify.records import NotifyRecords
from saltlick.salt_io.pillar import known_environments, pillar_of, with_grains
from saltlick.salt_io.secrets import ADDRESS, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from saltlick.jobs.store import Store
    from saltlick.notify.condition import Condition

log = logging.getLogger(__name__)

Declared = dict[str, Notify | None]
"""By environment, who is told."""


def declared_notify(opts: Mapping[str, Any], environments: Iterable[str]) -> Declared:
    """Who is told of these environments: nobody of one without a pillar, such as that of a state on its own.

    Raises: InvalidInput with every problem.
    """
    known, opts = known_environments(opts), with_grains(opts)
    return {name: parse_notify(pillar_of(opts, name), name) if name in known else None for name in environments}


def announce(
    opts: Mapping[str, Any],
    store: Store,
    declared: Declared,
    conditions: Iterable[Condition],
    remark: Callable[[str], None],
) -> tuple[Delivery, ...]:
    """Remember how things stand, and tell who is to be told. What cannot be delivered is a remark, and due again next time."""
    deliveries: list[Delivery] = []
    try:
        records = NotifyRecords(store)
        for condition in conditions:
            records.observe(condition, time.time())
        for environment, notify in declared.items():
            if notify:
                deliveries += deliver(environment, notify, records, postman(opts))
    except Exception as error:  # what tells of a job must not end it
        log.exception("A defect in saltlick: nobody was told")
        remark(f"notify: nobody was told: {type(error).__name__} (a defect in saltlick; see the log)")
    for delivery in deliveries:
        remark(str(delivery))
        if delivery.error:
            log.warning("%s", delivery)
    return tuple(deliveries)


def announce_failure(
    opts: Mapping[str, Any], key: str, store: Store, condition: Condition, remark: Callable[[str], None]
) -> None:
    """The same for a command that could not even begin, where the pillar has that key.

    Without it somebody named the wrong environment; and a pillar that does not compile does not say who is told.
    """
    name = condition.environment
    try:
        pillar = pillar_of(opts, name)
        if pillar.get(key) is not None:
            announce(opts, store, {name: parse_notify(pillar, name)}, [condition], remark)
    except InvalidInput as error:
        log.warning("notify: nobody can be told of %s: %s", condition.title, error)


def postman(opts: Mapping[str, Any]) -> Postman:
    """The way out, as of now."""

    def address(url: str) -> str:
        return look_up(opts, url) if url.startswith(ADDRESS) else url

    return Postman(now=time.time(), zone=local_zone(), address=address, send=apprise_urls.send)
