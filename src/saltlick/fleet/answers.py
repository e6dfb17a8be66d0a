"""What each function of our own modules may answer: one parser per function, asked where replies come in.

A server that was taken over signs whatever it likes. What is not of the form that its function has is a failed step, so that no
SHA, role, path or count of a reply has to be doubted further in. Functions that only recipes call have no form: their values are
judged by the step (`fleet.judge`), and never become part of anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from saltlick.fleet.ports import Call, Reply

Sha = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})\z", max_length=64)]
ShaOrNone = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?\z", max_length=64)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\z", max_length=200)]
JobName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\z", max_length=200)]
BackupId = Annotated[str, Field(pattern=r"^[0-9]{8}T[0-9]{6}Z-(full|incr)\z")]
BackupIdOrNone = Annotated[str, Field(pattern=r"^([0-9]{8}T[0-9]{6}Z-(full|incr))?\z")]
InStore = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*\z", max_length=300)]
Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,15}(Z|[+-][0-9:]{2,6})?\z")]
Path = Annotated[str, Field(pattern=r"^(/[^\x00-\x1f\x7f]*)?\z", max_length=4096)]
Text = Annotated[str, Field(max_length=200_000)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)] | Annotated[int, Field(ge=0)]
Second = Annotated[str, Field(pattern=r"^[0-9]{1,12}\z")]
Role = Literal["primary", "standby", "down"]


class Answer(BaseModel):
    """What a function answers with; more keys may be there, and nobody reads them."""

    model_config = ConfigDict(strict=True, extra="allow")


class Prepared(Answer):
    folder: Path
    sha: Sha
    state: Literal["prepared", "built"]


class Built(Answer):
    folder: Path
    changed: bool


class Switched(Answer):
    previous: ShaOrNone
    current: Sha


class RequestErrors(Answer):
    requests: Count
    errors: Count


class Marked(Answer):
    sha: Sha
    state: Literal["good", "failed", "absent"]


class Pruned(Answer):
    removed: list[Sha]
    kept: list[Sha]


class Healthy(Answer):
    healthy: Literal[True]
    checks: Count
    last: Text


class Job(Answer):
    job: Text
    state: Literal["unknown", "running", "done", "failed", "late", "killed", "lost"]
    function: Text = ""
    value: Any = None
    error: Text = ""
    output_tail: Text = ""


class ProxiedServer(Answer):
    admin: Literal["ready", "drain", "maint"]
    status: Text
    sessions: Count
    queue: Count
    check: Text = ""


class ProxyChange(Answer):
    before: Text
    now: Literal["ready", "drain", "maint"]
    sessions: Count


class RoleSeen(Answer):
    role: Role
    seen: Text


class Stream(Answer):
    name: Text | None
    state: Text | None
    sync: Text | None
    lag: int | float | None = None


class Database(RoleSeen):
    streams: list[Stream]
    receiving: bool
    members: list[Name]
    patroni: dict[str, Any]


class Holds(Answer):
    holds: bool
    role: Literal["primary", "standby", "down", ""]
    why: Text


class Whose(Answer):
    environment: Annotated[str, Field(pattern=r"^([a-z][a-z0-9-]*)?\z")]
    production: bool


class Manifest(Answer):
    id: BackupId
    job: JobName
    kind: Literal["postgresql", "zodb", "directories", "master"]
    mode: Literal["full", "incr"]
    base: BackupIdOrNone
    previous: BackupIdOrNone
    server: Name
    began: Moment
    ended: Moment
    size: Count
    raw_size: Count


class Listing(Answer):
    manifests: list[Manifest]
    unfinished: list[InStore]
    unreadable: list[InStore]


class VerifyAnswer(Answer):
    id: BackupId
    problems: list[Text]
    size: Count


class RestoreAnswer(Answer):
    checks: list[dict[str, Any]]
    kept: Path | list[Path] | None = ""
    notes: list[Text] = []


class Kept(Answer):
    kept: Path | list[Path] | None


class Seeded(Kept):
    role: Role


class Done(Answer):
    """Nothing of it is read."""


_JOB: TypeAdapter[Any] = TypeAdapter(Job)
_CHANGE: TypeAdapter[Any] = TypeAdapter(ProxyChange)
_HEALTHY: TypeAdapter[Any] = TypeAdapter(Healthy)
ANSWERS: Mapping[str, TypeAdapter[Any]] = {
    "revision.resolve": TypeAdapter(Sha),
    "revision.current": TypeAdapter(ShaOrNone),
    "revision.free": TypeAdapter(Count),
    "revision.prepare": TypeAdapter(Prepared),
    "revision.built": TypeAdapter(Built),
    "revision.activate": TypeAdapter(Switched),
    "revision.checkout": TypeAdapter(Switched),
    "revision.mark": TypeAdapter(Marked),
    "revision.prune": TypeAdapter(Pruned),
    "revision.note": TypeAdapter(Text),
    "health.http": _HEALTHY,
    "health.tcp": _HEALTHY,
    "health.command": _HEALTHY,
    "detached.start": _JOB,
    "detached.status": _JOB,
    "detached.kill": _JOB,
    "detached.forget": TypeAdapter(list[Text]),
    "requests_seen.count": TypeAdapter(dict[Second, Count]),
    "requests_seen.errors": TypeAdapter(RequestErrors),
    "haproxy_runtime.show": TypeAdapter(dict[Text, ProxiedServer]),
    "haproxy_runtime.drain": _CHANGE,
    "haproxy_runtime.maint": _CHANGE,
    "haproxy_runtime.ready": _CHANGE,
    "dbrole.get": TypeAdapter(RoleSeen),
    "database.status": TypeAdapter(Database),
    "backup.holds": TypeAdapter(Holds),
    "backup.whose": TypeAdapter(Whose),
    "backup.take": TypeAdapter(Manifest),
    "backup.catalogue": TypeAdapter(Listing),
    "backup.verify": TypeAdapter(VerifyAnswer),
    "backup.prune": TypeAdapter(list[BackupId]),
    "backup.restore": TypeAdapter(RestoreAnswer),
    "backup.exchange": TypeAdapter(Kept),
    "backup.discard": TypeAdapter(list[Text]),
    "backup.reseed": TypeAdapter(Seeded),
    "database.switchover": TypeAdapter(Done),
    "database.promote": TypeAdapter(Done),
    "database.reinit": TypeAdapter(Done),
    "database.pause": TypeAdapter(Done),
    "test.ping": TypeAdapter(Literal[True]),
}
"""By function. Values are checked as they are, without conversion: `"3"` is no count."""


def parsed(server: str, call: Call, reply: Reply) -> Reply:
    """A reply whose value is of its function's form; else a bad one that names the server, the function and what is wrong."""
    if not reply.ok:
        return reply
    wrong = fault(call.function, reply.value)
    return (
        replace(reply, ok=False, value=None, error=f"{call.function}: the answer of {server} {wrong}")
        if wrong
        else reply
    )


def fault(function: str, value: Any) -> str:
    """What is wrong with a value as the answer of that function; empty where nothing is, or the function has no form."""
    form = ANSWERS.get(function)
    if form is None:
        return ""
    try:
        form.validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        return f"is none, {where}: {first['msg']}, not {_short(first['input'])}"
    if form is _JOB and value["state"] == "done":
        inner = fault(value.get("function", ""), value.get("value"))
        return inner and f"has a value of {value['function']} that {inner}"
    return ""


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
