"""What is remembered of an environment's off-hours: the last change made, who wants it kept on, and who is at work.

One small JSON file per environment, written whole and at once, read and changed by one process at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from saltlick.errors import NotReady
from saltlick.offhours.due import KeepOn
from saltlick.offhours.schedule import OnOff


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSwitch:
    """The last time that something was switched, or was tried."""

    side: OnOff
    at: datetime
    ok: bool
    by: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OffHoursRecord:
    """All that is remembered. `done`: the last change that was made; `job`: whose lock it is that a killed run left."""

    done: datetime | None = None
    keep: KeepOn | None = None
    last: LastSwitch | None = None
    job: str = ""


@dataclass(frozen=True)
class OffHoursRecords:
    """The records in one folder (`<cachedir>/saltlick/offhours`)."""

    folder: Path

    def read(self, environment: str) -> OffHoursRecord:
        """Raises: NotReady when the file is there and is none of ours."""
        path = self._path(environment)
        try:
            return _from_data(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return OffHoursRecord()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NotReady(
                f"what is remembered of {environment} cannot be read: mend or remove {path} ({error})"
            ) from error

    def change(self, environment: str, change: Callable[[OffHoursRecord], OffHoursRecord]) -> OffHoursRecord:
        """Replace the record by what `change` makes of it; returns that."""
        with self._guard():
            made = change(self.read(environment))
            path = self._path(environment)
            with tempfile.NamedTemporaryFile("w", dir=self.folder, encoding="utf-8", delete=False) as whole:
                json.dump(_as_data(made), whole)
            Path(whole.name).replace(path)
        return made

    def _path(self, environment: str) -> Path:
        return self.folder / f"{environment}.json"

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / ".guard").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield


def made(record: OffHoursRecord, last: LastSwitch, moment: datetime) -> OffHoursRecord:
    """After a change that was made, for which of the moments it stands, and a keep that it put an end to."""
    done = max(moment, record.done) if record.done else moment
    over = record.keep is not None and record.keep.until <= last.at
    return replace(record, done=done, last=last, job="", keep=None if over else record.keep)


def _as_data(record: OffHoursRecord) -> dict[str, Any]:
    keep, last = record.keep, record.last
    return {
        "done": _text(record.done),
        "keep": keep and {"until": _text(keep.until), "since": _text(keep.since), "by": keep.by, "reason": keep.reason},
        "last": last
        and {"side": last.side.value, "at": _text(last.at), "ok": last.ok, "by": last.by, "said": last.said},
        "job": record.job,
    }


def _from_data(told: Mapping[str, Any]) -> OffHoursRecord:
    keep, last = told["keep"], told["last"]
    return OffHoursRecord(
        done=_instant(told["done"]) if told["done"] else None,
        keep=keep and KeepOn(**{**keep, "until": _instant(keep["until"]), "since": _instant(keep["since"])}),
        last=last and LastSwitch(**{**last, "side": OnOff(last["side"]), "at": _instant(last["at"])}),
        job=str(told["job"]),
    )


def _text(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} says nothing of its time zone")
    return found
