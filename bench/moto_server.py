"""A moto server that carries out one call at a time.

moto keeps its models in plain dictionaries and iterates over them unguarded: with two calls at once it now and then
answers a 500 ("dictionary changed size during iteration"), which AWS does not do. Connections stay concurrent, and
latency is the proxy's, so nothing that is measured waits for this.

    python -m bench.moto_server PORT
"""

from __future__ import annotations

import contextlib
import sys
import threading
import urllib.request
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from werkzeug.serving import BaseWSGIServer


class OneAtATime:
    """moto as a WSGI application, under a lock."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            response = self._moto(environ, start_response)
            try:
                return list(response)
            finally:
                if hasattr(response, "close"):
                    response.close()


def server(port: int = 0) -> BaseWSGIServer:
    """On this machine's own address; port 0 is any free one."""
    return make_server("127.0.0.1", port, OneAtATime(), threaded=True, request_handler=MotoRequestHandler)


@contextlib.contextmanager
def in_this_process() -> Iterator[str]:
    """Its address, while the block runs. What moto knows is this process's: it begins with nothing, whatever was before."""
    serving = server()
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{serving.server_port}"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{address}/moto-api/reset", b""):
            pass
        yield address
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


if __name__ == "__main__":
    server(int(sys.argv[1])).serve_forever()
