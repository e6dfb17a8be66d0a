"""The AWS endpoint: moto's WSGI application behind the few calls we answer ourselves, injected faults, and a wake-up call."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4
from xml.sax.saxutils import escape

from saltlick.sandbox.faults import Fault, FaultInjector

READING = ("Describe", "Get", "List", "Lookup", "Search")
STORAGE = "s3"
"""Its calls have no form to read, only contents, and nothing of them becomes a machine."""
MOTO = {"S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"}
"""Environment in which moto reads the bucket from the path, whatever the host name: instances ask `aws.saltlick.internal`."""
Environ = dict[str, Any]
Answer = Callable[[Mapping[str, str]], "bytes | None"]


class RefusedRequest(Exception):
    """An answer of ours to an EC2 call that is an error, with AWS's code for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, kw_only=True)
class ApiCall:
    """One AWS call: its action, service and (for the query protocol) its parameters."""

    action: str
    service: str
    parameters: Mapping[str, str]

    @property
    def reading(self) -> bool:
        return self.service == STORAGE or self.action.startswith(READING)


def parse_call(environ: Environ) -> ApiCall:
    """Read action and parameters, and leave the body to be read again."""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size) if size else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return call_of(body, environ.get("HTTP_X_AMZ_TARGET", ""), environ.get("HTTP_AUTHORIZATION", ""))


def call_of(body: bytes, target: str, authorization: str) -> ApiCall:
    """The call of a request, by its body and its headers `X-Amz-Target` and `Authorization`."""
    scope = authorization.partition("Credential=")[2].split(",")[0].split("/")
    service = scope[3] if len(scope) > 4 else ""
    plain = {} if target or service == STORAGE else parse_qs(body.decode("utf-8", "replace"))
    form = {key: values[0] for key, values in plain.items()}
    action = target.rpartition(".")[2] or form.get("Action", "")
    return ApiCall(action=action, service=service, parameters=form)


class Api:
    """A WSGI application.

    `answers` maps (service, action) to what answers instead of moto, or leaves it to moto by returning None.
    `changed` is called for every call that may have changed something. `lock` keeps moto's models consistent.
    """

    def __init__(
        self,
        moto: Callable[..., Iterable[bytes]],
        injector: FaultInjector,
        lock: threading.RLock,
        answers: Mapping[tuple[str, str], Answer],
        changed: Callable[[ApiCall], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._moto, self._injector, self._lock, self._answers = moto, injector, lock, answers
        self._changed, self._sleep = changed, sleep

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        call = parse_call(environ)
        fault = self._injector.draw()
        if self._injector.faults.latency_ms:
            self._sleep(self._injector.faults.latency_ms / 1000)
        if fault and not fault.carried_out:
            return _refuse(call, fault, start_response)
        headers = _discard if fault is Fault.LATE_ERROR else start_response
        response = self._answered(call, headers) or self._forward(environ, headers)
        if not call.reading:
            self._changed(call)
        if fault is Fault.LATE_ERROR:
            return _refuse(call, fault, start_response)
        if fault is Fault.LOST:
            _hang_up(environ)
            return []
        return response

    def _answered(self, call: ApiCall, start_response: Callable[..., Any]) -> list[bytes] | None:
        answer = self._answers.get((call.service, call.action))
        status = "200 OK"
        try:
            body = answer(call.parameters) if answer else None
        except RefusedRequest as error:
            status, body = "400 Bad Request", _ec2_error(error.code, error.message)
        if body is None:
            return None
        start_response(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
        return [body]

    def _forward(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            response = self._moto(environ, start_response)
            try:
                return list(response)
            finally:
                if hasattr(response, "close"):
                    response.close()


def _discard(status: str, headers: list[tuple[str, str]]) -> None:
    """In place of `start_response` for an answer that the caller never gets."""


def _refuse(call: ApiCall, fault: Fault, start_response: Callable[..., Any]) -> list[bytes]:
    status, kind, body = refusal(call, fault)
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def refusal(call: ApiCall, fault: Fault) -> tuple[str, str, bytes]:
    """Status, content type and body, shaped as the real service does it.

    Source: the error pages of the EC2, ELBv2 (query) and JSON protocols.
    """
    if fault is not Fault.THROTTLED:
        status, code, message = "500 Internal Server Error", "InternalError", "An internal error has occurred"
    elif call.service == "ec2":
        status, code, message = "503 Service Unavailable", "RequestLimitExceeded", "Request limit exceeded."
    else:
        status, code, message = "400 Bad Request", "ThrottlingException", "Rate exceeded"
    if not call.parameters:
        body = f'{{"__type": "{code}", "message": "{message}"}}'
    elif call.service == "ec2":
        body = _ec2_error(code, message).decode()
    else:
        error = f"<Error><Type>Sender</Type><Code>{code.removesuffix('Exception')}</Code><Message>{message}</Message></Error>"
        body = f"<ErrorResponse>{error}<RequestId>{uuid4()}</RequestId></ErrorResponse>"
    kind = "text/xml" if call.parameters else "application/x-amz-json-1.1"
    return status, kind, body.encode()


def _ec2_error(code: str, message: str) -> bytes:
    error = element("Error", [element("Code", code), element("Message", message)])
    return element("Response", [element("Errors", [error]), element("RequestID", uuid4())]).encode()


def _hang_up(environ: Environ) -> None:
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def element(name: str, content: object) -> str:
    """One XML element; text is escaped, ready-made elements are given as a list."""
    inner = "".join(content) if isinstance(content, list) else escape(str(content))
    return f"<{name}>{inner}</{name}>"
