"""The example application as an instance runs it, without a database and with one that is not there."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
DATABASE = ("DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE")
Ask = Callable[..., tuple[str, str]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`ask(path, method, body)`: status and body. `notes=` puts something in the database's place."""
    for name in DATABASE:
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("example_app", CHECKOUT / "examples/app/app.py")
    assert spec
    assert spec.loader
    app: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)

    def asked(path: str, method: str = "GET", body: bytes = b"", notes: Any = None, **given: str) -> tuple[str, str]:
        statuses: list[str] = []
        app.NOTES = notes
        request = {"PATH_INFO": path, "REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(body)), **given}
        chunks = app.application({**request, "wsgi.input": io.BytesIO(body)}, lambda status, _: statuses.append(status))
        return statuses[0], b"".join(chunks).decode()

    return asked


def test_without_a_database_it_says_who_it_is_and_nothing_of_notes(ask: Ask) -> None:
    status, body = ask("/")
    assert status == "200 OK"
    assert json.loads(body).keys() == {"server", "instance", "revision", "request_id"}
    assert ask("/health") == ("200 OK", "ok\n")
    for path in ("/notes", "/health/database"):
        assert ask(path)[0] == "404 Not Found"
    assert ask("/notes", "POST", b"hello")[0] == "404 Not Found"


class Shelf:
    """Notes in memory."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def add(self, text: str) -> int:
        self.kept.append(text)
        return len(self.kept)

    def last(self) -> dict[str, object]:
        return {"count": len(self.kept), "last": self.kept[-10:]}

    def count(self) -> int | None:
        return len(self.kept)


class Silent:
    """A database that does not answer."""

    def count(self) -> int | None:
        return None

    def _refused(self, *_: object) -> dict[str, object]:
        raise ConnectionError("connection refused")

    add = last = where = _refused


def test_a_note_is_stored_counted_and_shown(ask: Ask) -> None:
    shelf = Shelf()
    status, body = ask("/notes", "POST", "grüß dich".encode(), notes=shelf)
    assert (status, json.loads(body)["id"]) == ("201 Created", 1)
    assert json.loads(ask("/notes", notes=shelf)[1])["last"] == ["grüß dich"]
    assert json.loads(ask("/", notes=shelf)[1])["notes"] == "1"
    assert "<dt>notes</dt><dd>1</dd>" in ask("/", notes=shelf, HTTP_ACCEPT="text/html")[1]


@pytest.mark.parametrize(("body", "status"), [(b"", "400"), (b" \n\0", "400"), (b"x" * 10_001, "413")])
def test_what_is_no_note_is_not_stored(ask: Ask, body: bytes, status: str) -> None:
    shelf = Shelf()
    assert ask("/notes", "POST", body, notes=shelf)[0].startswith(status)
    assert shelf.kept == []


def test_health_and_page_do_not_depend_on_the_database(ask: Ask) -> None:
    assert ask("/health", notes=Silent()) == ("200 OK", "ok\n")
    for path, method in (("/health/database", "GET"), ("/notes", "GET"), ("/notes", "POST")):
        refusal = "the database does not answer: connection refused\n"
        assert ask(path, method, b"hello", notes=Silent()) == ("503 Service Unavailable", refusal)
    status, body = ask("/", notes=Silent())
    assert (status, json.loads(body)["notes"]) == ("200 OK", "the database does not answer")
