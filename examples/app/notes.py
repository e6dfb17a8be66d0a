"""Notes that visitors leave, in PostgreSQL. Any member of a cluster may be named: libpq finds the one that can be written to."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import conninfo, errors

# Nothing here waits for long: what the address says itself comes first.
DEFAULTS = {
    "connect_timeout": "3",
    "target_session_attrs": "read-write",
    "tcp_user_timeout": "5000",
    "options": "-c statement_timeout=5s -c lock_timeout=4s",
}
CONNECTIONS = 4  # fewer than the threads of an instance: a database that hangs leaves some to those who do not need it
TURN_S = 2.0
FRESH_S = 1.0
SCHEMA = """
create table if not exists notes (
    id bigint generated always as identity primary key,
    written timestamptz not null default now(),
    text text not null
)
"""
SCHEMA_LOCK = 7361  # any number: several instances may find at the same time that the table is missing


class Notes:
    """Keeps a few connections open between requests, and makes new ones after a failover.

    Where the database gives no answer that is a ConnectionError; what was being written may be there or not.
    """

    def __init__(self, url: str) -> None:
        self._server = conninfo.make_conninfo(**{**DEFAULTS, **conninfo.conninfo_to_dict(url)})
        self._turns = threading.BoundedSemaphore(CONNECTIONS)
        self._idle: deque[psycopg.Connection] = deque()
        self._counting = threading.Lock()
        self._count: int | None = None
        self._counted = 0.0

    def add(self, text: str) -> int:
        """Store a note; its id, once it is committed. Raises: ConnectionError."""
        [(number,)] = self._ask("insert into notes (text) values (%s) returning id", (text,))
        return number

    def last(self, limit: int = 10) -> dict[str, object]:
        """How many there are, and the newest. Raises: ConnectionError."""
        [(count,)] = self._ask("select count(*) from notes")
        rows = self._ask("select id, text, written from notes order by id desc limit %s", (limit,))
        notes = [{"id": number, "text": text, "written": written.isoformat()} for number, text, written in rows]
        return {"count": count, "last": notes}

    def count(self) -> int | None:
        """How many there are, a second old at most; None while the database does not answer. One asks, nobody else waits."""
        if time.monotonic() - self._counted > FRESH_S and self._counting.acquire(blocking=False):
            try:
                [(self._count,)] = self._ask("select count(*) from notes")
            except ConnectionError:
                self._count = None
            finally:
                self._counted = time.monotonic()
                self._counting.release()
        return self._count

    def where(self) -> dict[str, object]:
        """The server that writes go to. Raises: ConnectionError."""
        [(address, standby)] = self._ask("select host(inet_server_addr()), pg_is_in_recovery()")
        return {"address": address, "role": "standby" if standby else "primary"}

    def _ask(self, query: str, values: tuple[object, ...] = ()) -> list[tuple]:
        """The rows of one statement, committed. The table is made by the first who misses it."""
        try:
            with self._connection() as connection:
                try:
                    rows = connection.execute(query, values).fetchall()
                except errors.UndefinedTable:
                    connection.rollback()
                    connection.execute("select pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
                    connection.execute(SCHEMA)
                    rows = connection.execute(query, values).fetchall()
                connection.commit()
                return rows
        except psycopg.Error as error:
            raise ConnectionError(" ".join(str(error).split()) or type(error).__name__) from error

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        """One that answers, for one request at a time; kept when all went well."""
        if not self._turns.acquire(timeout=TURN_S):
            raise ConnectionError(f"all {CONNECTIONS} connections are waiting for it")
        try:
            connection = self._kept() or psycopg.connect(self._server)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
        finally:
            self._turns.release()

    def _kept(self) -> psycopg.Connection | None:
        """The one used last that still answers, so that a write is never tried on one that a failover has cut."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            try:
                connection.execute("")
            except psycopg.Error:
                connection.close()
                continue
            return connection
