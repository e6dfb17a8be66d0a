"""A real browser for tests: Chromium without a window, spoken to over its DevTools pipe. No driver, no port, no library."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections import deque
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ANSWER_S = 60.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests run as root in containers, too; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def find() -> str | None:
    """The browser's path, where there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser process. `page()` opens a page of its own in it."""

    def __init__(self, program: str, folder: Path) -> None:
        self._events: deque[dict[str, Any]] = deque()
        self._buffer, self._last = b"", 0
        ours_in, theirs_out = _high(os.pipe())
        theirs_in, ours_out = _high(os.pipe())
        self._read, self._write = ours_in, ours_out

        def third_and_fourth() -> None:  # where Chromium expects its pipe
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        with (folder / "browser.log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(3, 4),
                preexec_fn=third_and_fourth,
                env={**os.environ, "HOME": str(folder)},
            )
        os.close(theirs_in)
        os.close(theirs_out)

    def close(self) -> None:
        """End the browser, and wait for it."""
        with contextlib.suppress(OSError, RuntimeError):
            self.ask("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """One DevTools command and its answer; events that come meanwhile are kept."""
        self._last += 1
        sent = {"id": self._last, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(sent).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_S
        while True:
            got = self._receive(deadline, method)
            if got.get("id") == self._last:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']}")
                return got["result"]
            self._events.append(got)

    def wait_for(self, event: str, session: str) -> dict[str, Any]:
        """The next event of that name, also if it has come already."""
        deadline = time.monotonic() + ANSWER_S
        while True:
            for seen in self._events:
                if seen.get("method") == event and seen.get("sessionId") == session:
                    self._events.remove(seen)
                    return seen["params"]
            self._events.append(self._receive(deadline, event))

    def seen(self, event: str, session: str) -> list[dict[str, Any]]:
        """Every event of that name so far."""
        return [one["params"] for one in self._events if (one.get("method"), one.get("sessionId")) == (event, session)]

    def _receive(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._read, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError(f"{what}: the browser {'has ended' if ready else f'said nothing for {ANSWER_S} s'}")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def page(self, width: int = 1280, height: int = 900, *, dark: bool = False, media: str = "") -> Page:
        """An empty page of that size."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Network", "Runtime", "Log"):
            page.ask(f"{domain}.enable")
        page.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        return page


class Page:
    """One page, and everything it has asked the network for or complained of."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A DevTools command on this page."""
        return self._browser.ask(method, self._session, **params)

    def resize(self, width: int, height: int = 900) -> None:
        """The window as wide as that."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, path: Path) -> Page:
        """Load a file and wait until it has loaded."""
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self._browser.wait_for("Page.loadEventFired", self._session)
        return self

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression. The page's own policy does not bind it."""
        got = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in got:
            raise RuntimeError(f"{got['exceptionDetails']}")
        return got["result"].get("value")

    def requested(self) -> list[str]:
        """Every address the page asked for."""
        return [one["request"]["url"] for one in self._browser.seen("Network.requestWillBeSent", self._session)]

    def complaints(self) -> list[str]:
        """What is in the console: messages, errors, broken policies."""
        said = [one["entry"]["text"] for one in self._browser.seen("Log.entryAdded", self._session)]
        said += [str(one["args"]) for one in self._browser.seen("Runtime.consoleAPICalled", self._session)]
        return said + [str(one) for one in self._browser.seen("Runtime.exceptionThrown", self._session)]

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """The page as PNG."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole))
        path.write_bytes(base64.b64decode(shot["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 8000), "scale": 1}}

    def close(self) -> None:
        """Close it."""
        self._browser.ask("Target.closeTarget", targetId=self._target)


def _high(pipe: tuple[int, int]) -> tuple[int, int]:
    """The pipe on descriptors that are not 3 or 4, which the browser gets."""
    moved = tuple(fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in pipe)
    for one in pipe:
        os.close(one)
    return moved[0], moved[1]
