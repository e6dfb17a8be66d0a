"""moto's server with what it lacks: a console that says what the test wants it to, told by the instance's name."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import boto3
from werkzeug.serving import make_server

from bench.moto_server import OneAtATime

if TYPE_CHECKING:
    from collections.abc import Iterable

REGION = "us-east-1"

_ANSWER = (
    '<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>'
    "<instanceId>{id}</instanceId><timestamp>2026-01-01T00:00:00Z</timestamp><output>{output}</output></GetConsoleOutputResponse>"
)


class Cloud:
    """AWS for one test session. `consoles` is what each server's console says, by the server's name."""

    def __init__(self) -> None:
        self.consoles: dict[str, str] = {}
        self._moto = OneAtATime()
        self._server = make_server("127.0.0.1", 0, self, threaded=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Cloud:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join(10)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked = {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
        if asked.get("Action") == "GetConsoleOutput":
            output = base64.b64encode(self.consoles.get(self._name(asked["InstanceId"]), "").encode()).decode()
            start_response("200 OK", [("Content-Type", "text/xml")])
            return [_ANSWER.format(id=asked["InstanceId"], output=output).encode()]
        import io

        environ["wsgi.input"] = io.BytesIO(body)
        return self._moto(environ, start_response)

    def environ(self) -> dict[str, str]:
        """What leads boto3 here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def ec2(self) -> Any:
        """AWS's own client, to do behind Saltlick's back."""
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
        return boto3.client("ec2", endpoint_url=self.endpoint, **keys)

    def _name(self, instance_id: str) -> str:
        [reservation] = self.ec2().describe_instances(InstanceIds=[instance_id])["Reservations"]
        tags = {tag["Key"]: tag["Value"] for tag in reservation["Instances"][0].get("Tags", ())}
        return tags.get("Name", "")
