"""The background process of a sandbox: the AWS API, metadata, names, repositories, and the hypervisor behind them.

Run as `python -m saltlick.sandbox.serve <directory>`; `saltlick sandbox up` does.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from saltlick.errors import SaltlickError
from saltlick.sandbox import access, dns, http, settings
from saltlick.sandbox.answers import console_output, new_vpc, target_health
from saltlick.sandbox.api import Api
from saltlick.sandbox.cloud import application
from saltlick.sandbox.docker_host import DockerHost
from saltlick.sandbox.faults import parse
from saltlick.sandbox.hypervisor import Hypervisor
from saltlick.sandbox.imds import MetadataService, RoleCredentials, assume_with_moto


def main(directory: Path) -> None:
    """Serve until SIGTERM. Leaves containers, networks and rules to `saltlick sandbox down`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    config = settings.load(directory)
    images = json.loads((directory / "images.json").read_text())
    hypervisor = Hypervisor(config, images, DockerHost(config))
    hypervisor.injector.set(parse(json.loads(os.environ.get("SALTLICK_SANDBOX_FAULTS") or "{}")))
    start(hypervisor, access.read_key(directory))
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: hypervisor.stop())
    hypervisor.run()


def start(hypervisor: Hypervisor, key: str) -> None:
    """All servers, in threads. The API's own port is on loopback and asks for `key`; the others look at who asks."""
    config = hypervisor.settings
    answers = {
        ("ec2", "GetConsoleOutput"): console_output(hypervisor.console),
        ("ec2", "CreateVpc"): new_vpc(hypervisor.taken),
        ("elasticloadbalancing", "DescribeTargetHealth"): target_health(hypervisor.target_health),
    }
    api = Api(application(), hypervisor.injector, hypervisor.lock, answers, hypervisor.called)
    inside = http.internal(api, config.git_root, hypervisor.is_inside)
    metadata = MetadataService(hypervisor.instance_at, RoleCredentials(assume_with_moto))
    http.in_background(
        http.wsgi_server(access.for_owner(control(hypervisor, api), key), "127.0.0.1", config.port),
        http.wsgi_server(inside, "0.0.0.0", config.internal_port),  # noqa: S104
        http.MetadataServer(metadata, config.metadata_port),
    )
    resolver = dns.Resolver(hypervisor.balancer_addresses, hypervisor.is_inside, dns.upstream())
    for server in dns.servers(resolver, config.resolver_port):
        server.start_thread()


def control(hypervisor: Hypervisor, api: http.Wsgi) -> http.Wsgi:
    """The host's HTTP API: the AWS API, `/_saltlick/status` and `/_saltlick/faults`."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith("/_saltlick/"):
            return api(environ, start_response)
        if path == "/_saltlick/faults" and environ["REQUEST_METHOD"] == "POST":
            status, body = _set_faults(hypervisor, environ)
        else:
            status, body = "200 OK", hypervisor.status()
        text = json.dumps(body).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    return answer


def _set_faults(hypervisor: Hypervisor, environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        hypervisor.injector.set(parse(json.loads(body)))
    except (SaltlickError, TypeError, ValueError) as error:
        return "400 Bad Request", {"error": str(error)}
    return "200 OK", vars(hypervisor.injector.faults)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
