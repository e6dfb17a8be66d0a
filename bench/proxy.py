"""A proxy in front of a moto server: AWS's latency, AWS's faults, and an exact count of what was asked.

Runs as a process of its own (`python -m bench.proxy --upstream http://127.0.0.1:5000`), so that neither the measured
program nor moto pays for it. Two paths are its own and never forwarded:

    GET  /_bench/stats    the fields of `Counts` as JSON
    POST /_bench/reset    body = the fields of the sandbox's `Faults` and of `Kill`, all optional; counts start at nought
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from saltlick.sandbox.api import ApiCall, call_of, refusal
from saltlick.sandbox.faults import Fault, FaultInjector, Faults, parse

CONTROL = "/_bench/"
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "date", "server"}


@dataclass(frozen=True)
class Kill:
    """Whom to kill in the middle of its calls."""

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

    def add(self, fault: Fault) -> None:
        self.lost += fault is Fault.LOST
        self.throttled += fault is Fault.THROTTLED
        self.failed += fault in {Fault.ERROR, Fault.LATE_ERROR}


class Proxy:
    """Forwards every call after the latency, counting; draws faults before or after the call is carried out."""

    def __init__(self, upstream: str, faults: Faults) -> None:
        self.upstream = upstream
        self.session: aiohttp.ClientSession | None = None
        self.injector = FaultInjector()
        self.reset(faults, Kill())

    def reset(self, faults: Faults, kill: Kill) -> None:
        self.injector.set(faults)
        self.kill = kill
        self.counts = Counts()
        self.in_flight = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await self.control(request)
        body = await request.read()
        headers = request.headers
        call = call_of(body, headers.get("X-Amz-Target", ""), headers.get("Authorization", ""))
        self.counts.calls += 1
        self.counts.by_operation[f"{call.service}:{call.action}"] += 1
        self.in_flight += 1
        self.counts.peak = max(self.counts.peak, self.in_flight)
        try:
            return await self.forward(request, call, body)
        finally:
            self.in_flight -= 1

    async def forward(self, request: web.BaseRequest, call: ApiCall, body: bytes) -> web.StreamResponse:
        fault = self.injector.draw()
        await asyncio.sleep(self.injector.faults.latency_ms / 1000)
        if fault and not fault.carried_out:
            return self.failed(request, call, fault)
        response = await self.carry_out(request, body)
        self.counts.mutating += not call.reading
        if not call.reading and 0 < self.kill.kill_after <= self.counts.mutating:
            return self.kill_caller(request)
        return self.failed(request, call, fault) if fault else response

    def failed(self, request: web.BaseRequest, call: ApiCall, fault: Fault) -> web.Response:
        self.counts.add(fault)
        if fault is Fault.LOST:
            return cut(request)
        status, kind, text = refusal(call, fault)
        return web.Response(status=int(status.split()[0]), body=text, content_type=kind)

    async def carry_out(self, request: web.BaseRequest, body: bytes) -> web.Response:
        assert self.session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_HEADERS}
        async with self.session.request(
            request.method, self.upstream + request.path_qs, data=body, headers=headers
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_HEADERS}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    def kill_caller(self, request: web.BaseRequest) -> web.Response:
        """SIGKILL the process group once; calls of it still under way get no answer either."""
        if not self.counts.killed and self.kill.kill_group > 1:
            self.counts.killed = 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.kill.kill_group, signal.SIGKILL)
        return cut(request)

    async def control(self, request: web.BaseRequest) -> web.Response:
        if request.path == CONTROL + "reset":
            wanted = json.loads(await request.read() or b"{}")
            kill = Kill(**{name: wanted.pop(name) for name in ("kill_group", "kill_after") if name in wanted})
            self.reset(parse(wanted), kill)
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
    parser.add_argument("--latency-ms", type=float, default=100, help="added to each call")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.upstream, Faults(latency_ms=arguments.latency_ms)))


if __name__ == "__main__":
    main()
