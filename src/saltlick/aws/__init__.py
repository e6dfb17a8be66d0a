"""The way to AWS: one session, polite retries, typed errors. The only room that imports boto3.

`connect` gives the `engine.ports.Cloud` that kinds talk to. Credentials come from boto3's usual chain and nowhere else;
`AWS_ENDPOINT_URL` leads to another API (moto, the sandbox).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saltlick.aws.clients import Clients
from saltlick.aws.cloud import AwsCloud
from saltlick.aws.sender import Notify, OnCall, Sender, log
from saltlick.engine.wait import SystemClock

if TYPE_CHECKING:
    from saltlick.engine.ports import Clock

__all__ = ["AwsCloud", "Notify", "OnCall", "connect", "emulated"]


def emulated(region: str) -> bool:
    """Whether what we talk to is another API than AWS's own: moto, the sandbox. Asks nobody."""
    return Clients(region).emulated


def connect(
    region: str, *, clock: Clock | None = None, on_call: OnCall | None = None, notify: Notify = log
) -> AwsCloud:
    """The AWS API of one region. Free until the first call: boto3 is imported, and each service's client made, then.

    `on_call(service, operation, seconds)` is called after every request that went out, each retry and page; from any
    thread.
    `notify(text)` receives a line when AWS is slow, does not answer or throttles; by default it is logged.
    """
    return AwsCloud(Sender(Clients(region), clock or SystemClock(), on_call=on_call, notify=notify))
