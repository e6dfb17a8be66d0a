"""The files of the locks: one JSON file per holder, written atomically, and an audit trail beside them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saltlick.errors import InvalidInput, Locked
from saltlick.jobs.holder import Holder

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class LockFiles:
    """The lock files in one folder. Callers that look and then write do both under `guard`."""

    folder: Path

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Let one process at a time look and write. The kernel releases the guard of a process that dies."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / ".guard").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def read(self, environment: str) -> Holder | None:
        """Return the holder of an environment's lock, or None.

        Raises: Locked when the file is there and is not a lock.
        """
        path = self._path(environment)
        try:
            return Holder.from_data(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise Locked(
                f"{environment} is locked, and its lock file cannot be read: repair or remove {path} ({error})"
            ) from error

    def read_shared(self, environment: str) -> tuple[Holder, ...]:
        """Return the holders that share the environment, dead ones included."""
        paths = sorted(self._path(environment).parent.glob(f"{environment}.*.shared.json"))
        return tuple(Holder.from_data(json.loads(path.read_text("utf-8"))) for path in paths)

    def write(self, holder: Holder) -> None:
        """Replace the environment's lock atomically."""
        self._put(holder, self._path(holder.environment))

    def write_shared(self, holder: Holder) -> None:
        """Add one that shares the environment."""
        self._put(holder, self._shared_path(holder))

    def remove(self, environment: str) -> None:
        """Remove the environment's lock."""
        self._path(environment).unlink()

    def remove_shared(self, holder: Holder) -> bool:
        """Remove one that shares the environment. Returns whether it was still there."""
        path = self._shared_path(holder)
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    def audit(self, action: str, holder: Holder, previous: Holder | None = None) -> None:
        """Append one line to `audit.jsonl`: what was done, by whom, and whose lock it was before."""
        line = {"action": action, **holder.as_data(), "previous": previous and previous.as_data()}
        with (self.folder / "audit.jsonl").open("a", encoding="utf-8") as trail:
            trail.write(json.dumps(line) + "\n")

    def _put(self, holder: Holder, path: Path) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self.folder, encoding="utf-8", delete=False) as whole:
            json.dump(holder.as_data(), whole)
        Path(whole.name).replace(path)

    def _path(self, environment: str) -> Path:
        if not environment.replace("-", "").replace("_", "").isalnum():
            raise InvalidInput([f"{environment!r} is not a name for an environment"])
        return self.folder / f"{environment}.json"

    def _shared_path(self, holder: Holder) -> Path:
        mark = hashlib.sha256(json.dumps(holder.as_data(), sort_keys=True).encode()).hexdigest()[:12]
        return self._path(holder.environment).with_suffix(f".{mark}.shared.json")
