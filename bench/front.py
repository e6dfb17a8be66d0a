"""A small HTTP balancer for `bench.release`, where no HAProxy is installed: drains without cutting anybody off.

Runs as a process of its own (`python -m bench.front HOME name=port …`) and prints its port. Servers are taken out and put back
by files, so that Salt's own functions do it: while `HOME/<name>/drained` exists, a server gets nothing new, and its file
`traffic` says `out` once what it had begun is answered; when the first is gone, that says `in` once the server is healthy.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

LOOK_S = 0.02


@dataclass
class Backend:
    """One server: where it listens, where its files lie, how many of its requests are under way."""

    name: str
    port: int
    folder: Path
    traffic: str = ""
    under_way: int = 0

    @property
    def drained(self) -> bool:
        return (self.folder / "drained").exists()

    @property
    def takes(self) -> bool:
        return self.traffic == "in" and not self.drained

    def show(self, traffic: str) -> None:
        """Say it in the file, whole at each moment."""
        if traffic != self.traffic:
            self.traffic = traffic
            fresh = self.folder / "traffic.new"
            fresh.write_text(traffic)
            fresh.rename(self.folder / "traffic")


class Front:
    """Takes requests in turn to those that take any."""

    def __init__(self, backends: list[Backend], session: aiohttp.ClientSession) -> None:
        self.backends = backends
        self.session = session

    async def answer(self, request: web.BaseRequest) -> web.Response:
        backend = next((candidate for candidate in self.backends if candidate.takes), None)
        if backend is None:
            return web.Response(status=503, text="no server in traffic")
        self.backends.append(self.backends.pop(self.backends.index(backend)))
        backend.under_way += 1
        try:
            url = f"http://127.0.0.1:{backend.port}{request.path_qs}"
            async with self.session.get(url) as answer:
                return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"{backend.name}: {type(error).__name__}: {error}")
        finally:
            backend.under_way -= 1

    async def look(self, backend: Backend) -> None:
        """See to one server for ever: out when it is drained and quiet, in when it is healthy."""
        while True:
            if backend.drained:
                backend.show("out" if not backend.under_way else "draining")
            elif backend.traffic != "in":
                backend.show("in" if await self.healthy(backend) else "out")
            await asyncio.sleep(LOOK_S)

    async def healthy(self, backend: Backend) -> bool:
        try:
            async with self.session.get(f"http://127.0.0.1:{backend.port}/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


async def serve(home: Path, ports: dict[str, int]) -> None:
    """Serve until terminated. Each request has a connection of its own to its server, so none is kept to a stopped one."""
    backends = [Backend(name, port, home / name) for name, port in ports.items()]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        front = Front(list(backends), session)
        looks = [asyncio.create_task(front.look(backend)) for backend in backends]
        runner = web.ServerRunner(web.Server(front.answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        for look in looks:
            look.cancel()
        await runner.cleanup()


def main() -> None:
    home, *servers = sys.argv[1:]
    asyncio.run(serve(Path(home), {name: int(port) for name, port in (server.split("=") for server in servers)}))


if __name__ == "__main__":
    main()
