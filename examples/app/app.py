"""A WSGI application that says who answered: server, instance, revision and request id. Told of a database, it keeps notes."""

from __future__ import annotations

import html
import json
import os
import socket
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs

HEADERS = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
DATABASE = ("DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE")
"""Any of these in the environment says that there is a database; libpq reads the others, PGPASSFILE and PGPASSWORD too."""
LONGEST_NOTE = 10_000


def revision() -> str:
    """The revision of this release: from the environment, else from the REVISION file beside this one."""
    path = Path(__file__).with_name("REVISION")
    return os.environ.get("REVISION") or (path.read_text().strip() if path.exists() else "unreleased")


IDENTITY = {
    "server": os.environ.get("SERVER") or socket.gethostname(),
    "instance": os.environ.get("INSTANCE", "app"),
    "revision": revision(),
}


def connected():
    """The notes in the database that the environment names; None where it names none, and then nothing else is needed."""
    if not any(os.environ.get(name) for name in DATABASE):
        return None
    from notes import Notes

    return Notes(os.environ.get("DATABASE_URL", ""))


NOTES = connected()


def application(environ, start_response):
    """Answer /, /health and /notes; log one JSON line for each request."""
    started = time.monotonic()
    request_id = environ.get("HTTP_X_REQUEST_ID", "")
    status, content_type, body = respond(environ, request_id)
    payload = body.encode()
    length = ("Content-Length", str(len(payload)))
    start_response(status, [("Content-Type", content_type), length, ("X-Request-Id", request_id), *HEADERS])
    if request_id != "health-check":  # the proxy's own, each second
        log(environ, request_id, status, time.monotonic() - started)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [payload]


def respond(environ, request_id: str) -> tuple[str, str, str]:
    """Status, content type and body for this request."""
    path = environ.get("PATH_INFO", "/")
    if path == "/health":  # whether this instance serves: a database that restarts takes no server out of traffic
        return "200 OK", "text/plain; charset=utf-8", "ok\n"
    if NOTES and path in ("/notes", "/health/database"):
        return stored(environ, path)
    if path != "/":
        return plain("404 Not Found", f"nothing at {path}")
    time.sleep(wait_s(environ.get("QUERY_STRING", "")))
    facts = {**IDENTITY, "request_id": request_id}
    if NOTES:
        count = NOTES.count()
        facts["notes"] = "the database does not answer" if count is None else str(count)
    if "text/html" in environ.get("HTTP_ACCEPT", ""):
        return "200 OK", "text/html; charset=utf-8", page(facts)
    return "200 OK", "application/json", json.dumps(facts) + "\n"


def stored(environ, path: str) -> tuple[str, str, str]:
    """What needs the database. 201 comes after the commit; after 503 a note may be there or not."""
    try:
        if path == "/health/database":
            return answer("200 OK", NOTES.where())
        if environ["REQUEST_METHOD"] != "POST":
            return answer("200 OK", NOTES.last())
        size = int(environ.get("CONTENT_LENGTH") or 0)
        if size > LONGEST_NOTE:
            return plain("413 Content Too Large", f"a note has {LONGEST_NOTE} bytes at most")
        text = environ["wsgi.input"].read(size).decode("utf-8", "replace").replace("\0", "")
        if not text.strip():
            return plain("400 Bad Request", "a note is the text in the body of the request")
        return answer("201 Created", {"id": NOTES.add(text)})
    except ConnectionError as error:
        return plain("503 Service Unavailable", f"the database does not answer: {error}")


def answer(status: str, data: dict[str, object]) -> tuple[str, str, str]:
    """Data with the name of the instance that answers."""
    return status, "application/json", json.dumps({**data, **IDENTITY}) + "\n"


def plain(status: str, text: str) -> tuple[str, str, str]:
    return status, "text/plain; charset=utf-8", f"{text}\n"


def wait_s(query: str) -> float:
    """`?wait=1.5`: answer after so many seconds, 10 at most, to see what becomes of slow requests."""
    try:
        return min(max(float(parse_qs(query).get("wait", ["0"])[0]), 0.0), 10.0)
    except ValueError:
        return 0.0


def log(environ, request_id: str, status: str, duration_s: float) -> None:
    """One line to standard output, in the shape the proxies log."""
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime()),
        "hop": "app",
        "request_id": request_id,
        "method": environ["REQUEST_METHOD"],
        "uri": environ.get("PATH_INFO", "") + ("?" + environ["QUERY_STRING"] if environ.get("QUERY_STRING") else ""),
        "status": status.split()[0],
        "duration_s": f"{duration_s:.6f}",
        **IDENTITY,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def page(facts: dict[str, str]) -> str:
    """The facts as a page."""
    rows = "\n".join(f"<dt>{html.escape(k.replace('_', ' '))}</dt><dd>{html.escape(v)}</dd>" for k, v in facts.items())
    return PAGE.replace("{{title}}", html.escape(facts["server"])).replace("{{rows}}", rows)


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}}</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2733; --paper: #f4f1ea; --card: #fff; --soft: #6b7682; --salt: #2f7f86; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e8ecef; --paper: #14191e; --card: #1d242b; --soft: #93a0ac; --salt: #6cc3c9; }
  }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper);
         color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
  main { background: var(--card); border-top: .3rem solid var(--salt); border-radius: .5rem; margin: 1rem;
         padding: 2rem 2.5rem; box-shadow: 0 .5rem 2rem #0002; max-width: 40rem; box-sizing: border-box; }
  h1 { margin: 0; font-size: 1.6rem; letter-spacing: -.01em; }
  p { margin: .25rem 0 1.5rem; color: var(--soft); }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .5rem 1.5rem; margin: 0; }
  dt { color: var(--soft); }
  dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1>{{title}}</h1>
<p>answered this request. Reload, and another instance may.</p>
<dl>
{{rows}}
</dl>
</main>
</body>
</html>
"""
