"""A release goes on after its process died."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saltlick.release.record import ReleaseRecord
    from saltlick.release.stage import Stage


def resume(release: str, on: Stage, *, who: str, back: bool = False) -> ReleaseRecord:
    """Take up a release by the journal's facts alone: the recipe is the one it began with.

    Forward, or back if it was going back or `back` says so. Servers that are done are verified, those it was working on walk
    again from drain; a `once` step that began is asked for its result and never repeated.

    Raises: InvalidInput when there is no such release, or it is over.
    """
    raise NotImplementedError
