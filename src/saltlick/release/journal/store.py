"""The durable record of releases, in the master's store.

Each write is one transaction, whatever number of servers it is about: begin steps, end steps, move servers. A step is committed
before it starts and again after it ended, so whoever reads after a SIGKILL knows what may have happened and what did.
Beside it, `releases.jsonl` says the same as lines that are only ever appended, for audit.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saltlick.release.journal.control_request import ControlAction, ControlRequest
from saltlick.release.journal.record import Looks, ReleaseRecord, Result, ServerRecord, StepRecord
from saltlick.release.journal.tables import FIELDS, SCHEMA, STEP_FIELDS, head_from, server_from, step_from

if TYPE_CHECKING:
    from saltlick.jobs.store import Store


class Journal:
    """The releases of a master, in its store. The journal owns the store that it is given.

    `releases.jsonl` beside the store has the same as lines that are only ever appended.
    """

    def __init__(self, store: Store, *, epoch: Callable[[], float] = time.time) -> None:
        self.path = store.path
        audit = store.path.with_name("releases.jsonl")
        audit.touch(mode=0o600)  # arguments of steps are in there
        self._audit = audit.open("a", encoding="utf-8", buffering=1)
        self._epoch = epoch
        self._store = store
        self._db = store.db
        store.create(SCHEMA)

    def close(self) -> None:
        """Let go of the files."""
        self._store.close()
        self._audit.close()

    # -- what a release writes

    def open(self, head: ReleaseRecord, *, recipe: str) -> None:
        """A release begins: its head, servers and the steps it has already, with the recipe as it is now (JSON)."""
        values = [getattr(head, name.strip('"')) for name in FIELDS]
        with self._transaction("open", head.id, rev=head.rev, sha=head.sha, who=head.who, message=head.message):
            self._db.execute(
                f"INSERT INTO releases ({', '.join(FIELDS)}, recipe) VALUES ({', '.join('?' * len(FIELDS))}, ?)",  # noqa: S608
                (*values, recipe),
            )
            self._db.executemany(
                "INSERT INTO release_servers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (head.id, n, s.name, s.zone, s.batch, s.previous, s.standing, s.detail)
                    for n, s in enumerate(head.servers)
                ],
            )
            self._insert(head.id, head.steps)

    def begin(self, release: str, steps: Sequence[StepRecord], moved: Iterable[ServerRecord] = ()) -> None:
        """Steps start: one each for the servers of a batch, with what becomes of these servers by that."""
        with self._transaction("begin", release, steps=steps):
            self._insert(release, steps)
            self._move(release, moved)

    def end(self, release: str, steps: Sequence[StepRecord], moved: Iterable[ServerRecord] = ()) -> None:
        """The same steps ended."""
        with self._transaction("end", release, steps=steps):
            self._db.executemany(
                "UPDATE release_steps SET ended = ?, ok = ?, detail = ? WHERE release = ? AND number = ?",
                [(step.ended, step.ok, step.detail, release, step.number) for step in steps],
            )
            self._move(release, moved)

    def move(self, release: str, moved: Sequence[ServerRecord]) -> None:
        """Servers stand elsewhere now."""
        with self._transaction("move", release, servers={server.name: server.standing for server in moved}):
            self._move(release, moved)

    def undo(self, release: str, reason: str) -> None:
        """From here on the release goes back, whoever resumes it."""
        with self._transaction("undo", release, reason=reason):
            self._db.execute(
                "UPDATE releases SET undoing = 1, failure = ?, reason = ? WHERE id = ?", (reason, reason, release)
            )

    def explain(self, release: str, reason: str) -> None:
        """Why it stands where it stands, though it is not over."""
        with self._transaction("explain", release, reason=reason):
            self._db.execute(
                "UPDATE releases SET reason = ? WHERE id = ? AND result = ?", (reason, release, Result.RUNNING)
            )

    def finish(self, release: str, result: Result, reason: str = "") -> None:
        """It is over."""
        with self._transaction("finish", release, result=result, reason=reason):
            self._db.execute(
                "UPDATE releases SET result = ?, reason = ?, ended = ? WHERE id = ?",
                (result, reason, self._epoch(), release),
            )

    def reopen(self, release: str, *, who: str) -> None:
        """It goes on: after a SIGKILL, after somebody mended what it was stuck on, or with servers that answer again."""
        with self._transaction("reopen", release, who=who):
            self._db.execute(
                "UPDATE releases SET attempt = attempt + (result != ?), result = ?, ended = NULL WHERE id = ?",
                (Result.RUNNING, Result.RUNNING, release),
            )

    def requests(self, release: str, counts: Iterable[tuple[str, float, int]]) -> None:
        """Requests that servers answered, by second."""
        with self._transaction("requests", release):
            self._db.executemany(
                "INSERT OR REPLACE INTO release_requests VALUES (?, ?, ?, ?)", [(release, *row) for row in counts]
            )

    def looked(self, release: str, serving: int) -> None:
        """The balancer was asked, and showed so many servers in traffic."""
        with self._transaction("looked", release, serving=serving):
            self._db.execute(
                "INSERT INTO release_looks VALUES (?, ?, 1) "
                "ON CONFLICT (release) DO UPDATE SET fewest = min(fewest, excluded.fewest), looks = looks + 1",
                (release, serving),
            )

    # -- orders

    def order(self, release: str, order: ControlRequest) -> None:
        """Somebody wants something of a release."""
        with self._transaction(
            "order", release, want=order.want, server=order.server, who=order.who, reason=order.reason
        ):
            self._db.execute(
                "INSERT INTO release_controls (release, want, server, who, reason, given) VALUES (?, ?, ?, ?, ?, ?)",
                (release, order.want, order.server, order.who, order.reason, self._epoch()),
            )

    def orders(self, release: str) -> tuple[ControlRequest, ...]:
        """What is wanted and was not followed yet, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM release_controls WHERE release = ? AND NOT taken ORDER BY number", (release,)
        )
        return tuple(
            ControlRequest(
                **{key: row[key] for key in ("number", "server", "who", "reason", "given")},
                want=ControlAction(row["want"]),
            )
            for row in rows
        )

    def took(self, release: str, orders: Sequence[ControlRequest]) -> None:
        """These were followed."""
        if orders:
            with self._transaction("took", release, orders=[str(order) for order in orders]):
                self._db.executemany(
                    "UPDATE release_controls SET taken = 1 WHERE number = ?", [(o.number,) for o in orders]
                )

    # -- what anybody reads

    def read(self, release: str) -> ReleaseRecord | None:
        """One release with everything."""
        with self._snapshot():
            head = self._head("id = ?", (release,))
            return head and self._whole(head)

    def latest(self, environment: str, application: str | None = None) -> ReleaseRecord | None:
        """The newest one that was not refused, with everything."""
        with self._snapshot():
            head = self._head(
                "environment = ? AND application = coalesce(?, application) AND result != ?",
                (environment, application, Result.REFUSED),
            )
            return head and self._whole(head)

    def unfinished(self, environment: str) -> ReleaseRecord | None:
        """The one that is under way, or was when its process died."""
        with self._snapshot():
            head = self._head("environment = ? AND result = ?", (environment, Result.RUNNING))
            return head and self._whole(head)

    def history(
        self, environment: str, *, application: str | None = None, limit: int = -1
    ) -> tuple[ReleaseRecord, ...]:
        """Newest first, with servers and without steps."""
        with self._snapshot():
            heads = self._heads(
                "environment = ? AND application = coalesce(?, application)", (environment, application), limit
            )
            return tuple(replace(head, servers=self._servers(head.id)) for head in heads)

    def recipe(self, release: str) -> str:
        """The recipe as it was when the release began (JSON)."""
        row = self._db.execute("SELECT recipe FROM releases WHERE id = ?", (release,)).fetchone()
        return str(row["recipe"])

    def attempt(self, release: str) -> tuple[int, str]:
        """How often it was taken up again after it was stuck, and why it goes back, if it does."""
        row = self._db.execute("SELECT attempt, failure FROM releases WHERE id = ?", (release,)).fetchone()
        return int(row["attempt"]), str(row["failure"])

    # -- inside

    def _insert(self, release: str, steps: Sequence[StepRecord]) -> None:
        self._db.executemany(
            "INSERT INTO release_steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (release, s.number, s.phase, s.name, s.server, s.batch, s.undo, s.started, s.ended, s.ok, s.detail)
                for s in steps
            ],
        )

    def _move(self, release: str, moved: Iterable[ServerRecord]) -> None:
        self._db.executemany(
            "UPDATE release_servers SET batch = ?, standing = ?, detail = ? WHERE release = ? AND name = ?",
            [(server.batch, server.standing, server.detail, release, server.name) for server in moved],
        )

    def _heads(self, where: str, values: tuple[Any, ...], limit: int) -> tuple[ReleaseRecord, ...]:
        query = f"SELECT * FROM releases WHERE {where} ORDER BY started DESC, rowid DESC LIMIT ?"  # noqa: S608
        return tuple(head_from(row) for row in self._db.execute(query, (*values, limit)))

    def _head(self, where: str, values: tuple[Any, ...]) -> ReleaseRecord | None:
        return next(iter(self._heads(where, values, 1)), None)

    def _servers(self, release: str) -> tuple[ServerRecord, ...]:
        rows = self._db.execute("SELECT * FROM release_servers WHERE release = ? ORDER BY position", (release,))
        return tuple(map(server_from, rows))

    def _whole(self, head: ReleaseRecord) -> ReleaseRecord:
        steps = self._db.execute("SELECT * FROM release_steps WHERE release = ? ORDER BY number", (head.id,))
        looked = self._db.execute("SELECT fewest, looks FROM release_looks WHERE release = ?", (head.id,)).fetchone()
        counts = self._db.execute("SELECT server, second, count FROM release_requests WHERE release = ?", (head.id,))
        return replace(
            head,
            servers=self._servers(head.id),
            steps=tuple(map(step_from, steps)),
            looks=Looks(looked["fewest"], looked["looks"]) if looked else Looks(),
            requests=tuple((row["server"], row["second"], row["count"]) for row in counts),
        )

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Several reads that see one moment."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _transaction(self, action: str, release: str, **audited: Any) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._commit()
        except BaseException:
            if self._db.in_transaction:  # a signal may come at any moment, also just after the commit
                self._db.execute("ROLLBACK")
            raise
        self._append({"at": self._epoch(), "release": release, "action": action, **audited})

    def _commit(self) -> None:
        self._db.execute("COMMIT")

    def _append(self, line: Mapping[str, Any]) -> None:
        self._audit.write(json.dumps(line, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    """A step as the audit has it: shallow, as `dataclasses.asdict` copies each value and costs most of a write."""
    if isinstance(value, StepRecord):
        return {name: getattr(value, name) for name in STEP_FIELDS}
    return str(value)
