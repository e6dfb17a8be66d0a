"""A proxy in front of a moto server: AWS's latency, AWS's faults, and an exact count of what was asked.

Runs as a process of its own (`python -m bench.proxy --upstream http://127.0.0.1:5000`), so that neither the measured
program nor moto pays for it. Two paths are its own and never forwarded:

    GET  /_bench/stats    the fields of `Counts` as JSON
    POST /_bench/reset    body = the `Faults` to apply from now on, all optional; counts start at nought
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

CONTROL = "/_bench/"
READING = re.compile(r"^(Describe|Get|List|Search|Lookup)")
SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "date", "server"}

ANSWER = (
    "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors>"
    "<RequestID>bench</RequestID></Response>"
)
THROTTLED = ANSWER.format("RequestLimitExceeded", "Request limit exceeded.")
FAILED = ANSWER.format("InternalError", "An internal error has occurred")


@dataclass
class Faults:
    """What goes wrong, as shares of all calls (0.03 = 3 %), drawn from a seeded generator."""

    latency_s: float = 0.1
    lose: float = 0.0
    """The call is carried out, the connection is cut instead of an answer."""
    throttle: float = 0.0
    """Not carried out: RequestLimitExceeded."""
    fail: float = 0.0
    """Carried out, but answered with a 500."""
    seed: int = 1
    kill_group: int = 0
    """Process group that gets SIGKILL …"""
    kill_after: int = 0
    """… when this many mutating calls were carried out; the last of them stays unanswered."""


@dataclass
class Counts:
    calls: int = 0
    mutating: int = 0
    peak: int = 0
    lost: int = 0
    throttled: int = 0
    failed: int = 0
    killed: int = 0
    by_operation: Counter[str] = field(default_factory=Counter)


def operation_of(headers: Any, body: bytes) -> str:
    """`ec2:CreateVpc`, from the signature's scope and the query or JSON protocol's action."""
    scope = SCOPE.search(headers.get("Authorization", ""))
    service = scope.group(1) if scope else "unknown"
    target = headers.get("X-Amz-Target")
    if target:
        return f"{service}:{target.rpartition('.')[2]}"
    action = parse_qs(body.decode("utf-8", "replace")).get("Action", ["unknown"])[0]
    return f"{service}:{action}"


class Proxy:
    """Forwards every call after the latency, counting; draws faults before or after the call is carried out."""

    def __init__(self, upstream: str, faults: Faults) -> None:
        self.upstream = upstream
        self.session: aiohttp.ClientSession | None = None
        self.reset(faults)

    def reset(self, faults: Faults) -> None:
        self.faults = faults
        self.counts = Counts()
        self.in_flight = 0
        self.random = random.Random(faults.seed)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await self.control(request)
        body = await request.read()
        operation = operation_of(request.headers, body)
        self.counts.calls += 1
        self.counts.by_operation[operation] += 1
        self.in_flight += 1
        self.counts.peak = max(self.counts.peak, self.in_flight)
        try:
            return await self.forward(request, operation, body)
        finally:
            self.in_flight -= 1

    async def forward(self, request: web.BaseRequest, operation: str, body: bytes) -> web.StreamResponse:
        drawn = self.random.random()
        faults = self.faults
        await asyncio.sleep(faults.latency_s)
        if drawn < faults.throttle:
            self.counts.throttled += 1
            return web.Response(status=503, text=THROTTLED, content_type="text/xml")
        response = await self.carry_out(request, body)
        if not READING.match(operation.partition(":")[2]):
            self.counts.mutating += 1
            if faults.kill_after and self.counts.mutating >= faults.kill_after:
                return self.kill(request)
        if drawn < faults.throttle + faults.lose:
            self.counts.lost += 1
            return cut(request)
        if drawn < faults.throttle + faults.lose + faults.fail:
            self.counts.failed += 1
            return web.Response(status=500, text=FAILED, content_type="text/xml")
        return response

    async def carry_out(self, request: web.BaseRequest, body: bytes) -> web.Response:
        assert self.session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_HEADERS}
        async with self.session.request(
            request.method, self.upstream + request.path_qs, data=body, headers=headers
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_HEADERS}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    def kill(self, request: web.BaseRequest) -> web.StreamResponse:
        """SIGKILL the process group once; calls of it still under way get no answer either."""
        if not self.counts.killed and self.faults.kill_group > 1:
            self.counts.killed = 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.faults.kill_group, signal.SIGKILL)
        return cut(request)

    async def control(self, request: web.BaseRequest) -> web.Response:
        if request.path == CONTROL + "reset":
            self.reset(Faults(**json.loads(await request.read() or b"{}")))
        return web.json_response(vars(self.counts))


def cut(request: web.BaseRequest) -> web.Response:
    """Close the connection without an answer: what a lost response looks like to the caller."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def serve(port: int, upstream: str, faults: Faults) -> None:
    """Serve until terminated; prints the port once it listens (0 = any free one)."""
    proxy = Proxy(upstream, faults)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=timeout, auto_decompress=True
    ) as session:
        proxy.session = session
        runner = web.ServerRunner(web.Server(proxy.answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(runner.addresses[0][1], flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, help="the moto server, http://127.0.0.1:5000")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds added to each call")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.upstream, Faults(latency_s=arguments.latency)))


if __name__ == "__main__":
    main()
