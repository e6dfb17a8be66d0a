"""Ctrl-C and SIGTERM as requests to the job under way: the first aborts it, the second stops it at once."""

from __future__ import annotations


class Interrupted(BaseException):
    """The operator wants it to stop this instant. Nothing is undone; what is left is said, the lock stays."""


class Interrupts:
    """Ctrl-C and SIGTERM: the first is an order to abort (undo everything, put back); the second stops at once.

    A signal handler calls `hit`; the second call raises `Interrupted` wherever the release is.
    """

    def __init__(self) -> None:
        self.asked = ""

    def hit(self, what: str) -> None:
        """`what`: how people call it (`Ctrl-C`).

        Raises: Interrupted from the second time on.
        """
        if self.asked:
            raise Interrupted(f"{self.asked}, then {what}")
        self.asked = what
