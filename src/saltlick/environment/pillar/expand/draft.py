"""Writes down one resource of an environment: the frame around the properties that the topics fill in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from saltlick.engine.resource import Key, Ref, Resource
from saltlick.environment.pillar.model import Environment
from saltlick.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Draft:
    """Makes resources of one environment and references to them."""

    environment: Environment

    def __call__(
        self,
        kind: str,
        name: str,
        title: str,
        /,
        *,
        after: Iterable[str] = (),
        protected: bool = False,
        **properties: Any,
    ) -> Resource:
        """The resource `<kind>/<name>`; `after` are addresses it waits for without referring to them."""
        return Resource(
            environment=self.environment.name,
            kind=kind,
            name=name,
            title=title,
            properties=KINDS[kind].properties(**properties),
            tags=self.environment.tags,
            after=frozenset(Key(self.environment.name, address) for address in after),
            protected=protected,
        )

    def ref(self, address: str, attribute: str = "id") -> Ref:
        """An attribute of another resource of this environment."""
        return Ref(Key(self.environment.name, address), attribute)

    def titled(self, *words: str) -> str:
        """`prod-public-az1-subnet`: the environment's name and what follows, for the Name tag."""
        return "-".join((self.environment.name, *words))
