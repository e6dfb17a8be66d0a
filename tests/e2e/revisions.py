"""Revisions of the example application, good and bad, each a branch on top of what is published."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saltlick.sandbox.control import Sandbox

WHO = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.com",
}
AT_THE_TOP = "from __future__ import annotations\n"
CHANGES = {
    "second": ("app.py", "<p>answered this request.", "<p>answered this request, and it was a pleasure."),
    "third": ("app.py", "<p>answered this request.", "<p>answered it."),
    "does-not-build": ("requirements.txt", "waitress", "no-such-package-of-saltlick\nwaitress"),
    "does-not-start": ("app.py", AT_THE_TOP, AT_THE_TOP + 'raise SystemExit("no database")\n'),
    "answers-500": ("app.py", '"200 OK", "text/plain', '"500 Internal Server Error", "text/plain'),
    "refuses-visitors": (
        "app.py",
        "    facts = {",
        '    return "500 Internal Server Error", "text/plain", "oops"\n    facts = {',
    ),
    "answers-late": ("app.py", AT_THE_TOP, AT_THE_TOP + "import time\ntime.sleep(120)\n"),
    "dies-once": ("migrate.sh", "", "echo half done >&2\nexit 9\n"),
}


class Revisions:
    """A clone of the published application; a branch per revision."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._sandbox = sandbox
        self._clone = folder / "app"
        subprocess.run(["git", "clone", "-q", sandbox.settings.git_root / "app.git", self._clone], check=True)

    def publish(self) -> dict[str, str]:
        """All of them; returns the SHA of each, `main` too."""
        for branch, (file, old, new) in CHANGES.items():
            self._git("checkout", "-q", "-B", branch, "origin/main")
            path = self._clone / file
            text = path.read_text() if path.exists() else ""
            assert old in text, f"{branch}: {file} has changed"
            path.write_text(text.replace(old, new, 1) if old else new)
            self._git("add", file)
            self._git("commit", "-q", "-m", branch)
        self._git("checkout", "-q", "-B", "main", "origin/main")
        self._sandbox.publish("app", self._clone)
        return {branch: self._git("rev-parse", branch) for branch in (*CHANGES, "main")}

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self._clone, env={**os.environ, **WHO}, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()
