"""Whether a release may begin: everything that stands against it, found before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands against a release. `force`: the word that overrides it, empty where nothing does."""

    message: str
    server: str = ""
    force: str = ""
    forced: bool = False
    """The operator overrides it."""

    def __str__(self) -> str:
        said = f"{self.server}: {self.message}" if self.server else self.message
        return f"{said} (force={self.force})" if self.force and not self.forced else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What pre-flight saw of a group."""

    sha: str
    current: Mapping[str, str]
    """Server → the revision it runs."""
    in_traffic: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    already: tuple[str, ...] = ()
    """Servers that have the revision already, healthy and in traffic (none of them if `force=True`)."""
    findings: tuple[Finding, ...] = field(default=())
