"""The operator's commands on notifications: try each target, show what is red and who knows, take something off the list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from saltlick.commands.announce import postman
from saltlick.commands.arguments import Request, Text
from saltlick.commands.context import single_environment
from saltlick.commands.job import open_store
from saltlick.commands.result import CommandResult
from saltlick.commands.terminal import local_zone
from saltlick.errors import InvalidInput, Problem, SaltlickError
from saltlick.notify import message
from saltlick.notify.apprise_urls import service
from saltlick.notify.delivery import sent
from saltlick.notify.pillar import NOTIFY_KEY, Notify, parse_notify
from saltlick.notify.records import NotifyRecords, plain
from saltlick.salt_io.pillar import pillar_of
from saltlick.terminal import painter

if TYPE_CHECKING:
    from saltlick.notify.condition import RememberedCondition, TargetRecord


class ClearRequest(Request):
    """What is not red any more, as `notify.status` names it: `backup database`."""

    what: Text = ""


def test(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """Send a message to each target, and say which were delivered."""
    name = single_environment(opts, request.name)
    notify, way = _declared(opts, name), postman(opts)
    errors = {target: sent(spec, message.trial(name, target), way) for target, spec in notify.targets.items()}
    services = {target: service(spec.url.get_secret_value()) for target, spec in notify.targets.items()}
    result: dict[str, Any] = {
        "environment": name,
        "targets": {
            target: {"service": services[target], "sent": not error, "error": error} for target, error in errors.items()
        },
    }
    failed = {target: error for target, error in errors.items() if error}
    if failed:
        result["error"] = "; ".join(f"{target}: not delivered: {error}" for target, error in failed.items())
    return CommandResult(
        result, lambda colour: _tested(errors, services, colour), SaltlickError.exit_code if failed else 0
    )


def status(opts: Mapping[str, Any], request: Request) -> CommandResult:
    """What is red in an environment, since when, and who was told or could not be."""
    name = single_environment(opts, request.name)
    with open_store(opts) as store:
        records = NotifyRecords(store)
        conditions = [(remembered, records.told(remembered.condition)) for remembered in records.states(name)]
    listed = [
        {
            **plain(remembered),
            "targets": {target: {"told_at": record.told_at, "error": record.error} for target, record in told.items()},
        }
        for remembered, told in conditions
    ]
    text = "\n".join(line for remembered, told in conditions for line in _lines(remembered, told))
    return CommandResult({"environment": name, "conditions": listed}, text or f"{name}: nothing is red")


def clear(opts: Mapping[str, Any], request: ClearRequest) -> CommandResult:
    """Take one thing off the list of what is red. Nobody is told; the next look may find it red again."""
    name = single_environment(opts, request.name)
    with open_store(opts) as store:
        records = NotifyRecords(store)
        named = {_what(remembered): remembered.condition for remembered in records.states(name)}
        if request.what not in named:
            there = f"there is {', '.join(named)}" if named else "nothing is red"
            raise InvalidInput([Problem("what", f"{request.what or 'nothing'} is not red; {there}")], what="arguments")
        records.forget(named[request.what])
    return CommandResult({"environment": name, "cleared": request.what}, f"{name}: {request.what} is off the list")


def _declared(opts: Mapping[str, Any], name: str) -> Notify:
    notify = parse_notify(pillar_of(opts, name), name)
    if notify is None:
        message = f"the pillar of {name} names nobody who is told (for the master: top file, '*_master')"
        raise InvalidInput([Problem(NOTIFY_KEY, message)], what=f"pillar of {name}")
    return notify


def _tested(errors: Mapping[str, str], services: Mapping[str, str], colour: bool) -> str:
    paint = painter(colour)
    return "\n".join(
        paint("✗" if error else "+", f"{target} ({services[target]}): {f'not delivered: {error}' if error else 'sent'}")
        for target, error in errors.items()
    )


def _what(remembered: RememberedCondition) -> str:
    return f"{remembered.condition.feature.value} {remembered.condition.name}"


def _lines(remembered: RememberedCondition, told: Mapping[str, TargetRecord]) -> list[str]:
    how = (
        f"green again since {_at(remembered.green_at)}" if remembered.green_at else remembered.condition.severity.value
    )
    return [
        f"{_what(remembered)}: {how}, red since {_at(remembered.since)}",
        *(f"  {line}" for line in message.details(remembered.condition)),
        *(f"  Next: {command}" for command in remembered.condition.next_commands),
        *(f"  {target}: {_knows(record)}" for target, record in told.items()),
    ]


def _knows(record: TargetRecord) -> str:
    when = f"told {_at(record.told_at)}" if record.told_at else "not told yet"
    return f"{when}; not delivered: {record.error}" if record.error else when


def _at(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, local_zone()):%a %Y-%m-%d %H:%M:%S}"
