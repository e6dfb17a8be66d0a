"""Which revision a rollback goes to: the journal knows which were good."""

from __future__ import annotations

from collections.abc import Sequence

from saltlick.errors import InvalidInput
from saltlick.release.journal.record import ReleaseRecord, Result

GOOD = {Result.DONE, Result.PARTIAL}
LONGEST_NUMBER = 3
"""More digits than these are the beginning of a SHA."""


def good_revisions(history: Sequence[ReleaseRecord]) -> tuple[str, ...]:
    """Revisions that may be gone back to, the current one first. `history`: newest first.

    What somebody rolled back from was bad, and is skipped, unless it was released again later. What all servers ran before a good
    release was good too, whoever put it there: the first release can be taken back.
    """
    good: list[str] = []
    for release in reversed(history):
        if release.result not in GOOD:
            continue
        before = {server.previous for server in release.servers}
        good += [sha for sha in before if len(before) == 1 and sha and sha not in good]
        if release.rollback and release.sha in good:
            del good[good.index(release.sha) + 1 :]
        else:
            good = [sha for sha in good if sha != release.sha] + [release.sha]
    return tuple(reversed(good))


def target(history: Sequence[ReleaseRecord], to: str = "") -> str:
    """The SHA (or, where the journal does not know it, the name) that a rollback goes to.

    `to`: empty for the last good different revision, a number of releases back, a SHA or its beginning, a branch or tag.

    Raises: InvalidInput when there is no such revision.
    """
    good = good_revisions(history)
    if not to or (to.isdecimal() and len(to) <= LONGEST_NUMBER):
        back = int(to or 1)
        if not 1 <= back < len(good):
            known = ", ".join(sha[:12] for sha in good) or "none"
            raise InvalidInput(
                [f"to={to or 1}: the journal has no such good revision (newest first: {known})"], what="rollback"
            )
        return good[back]
    known_as = {release.sha for release in history if release.sha.startswith(to) or release.rev == to} & set(good)
    return known_as.pop() if len(known_as) == 1 else to
