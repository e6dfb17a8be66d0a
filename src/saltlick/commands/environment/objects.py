"""Single AWS objects for states: the same kinds as whole environments, for those who write their own SLS.

An object's parts belong to it: a route table's routes and associations, a security group's rules. They come with it,
and go with it or when they are no longer listed.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from saltlick import aws
from saltlick.commands.arguments import caller
from saltlick.commands.environment.states import parts as carried_out
from saltlick.commands.job import running_job
from saltlick.commands.state import planned, state
from saltlick.engine import render
from saltlick.engine.observe import Snapshot
from saltlick.engine.plan import Plan, deletion
from saltlick.engine.resource import Key, Kind, Observed, Properties, Resource, references
from saltlick.environment import provision
from saltlick.environment.pillar import longform
from saltlick.environment.provision import Estate
from saltlick.errors import InvalidInput, Problem
from saltlick.jobs.request import JobRequest
from saltlick.kinds import KINDS
from saltlick.schema.problems import path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

    from saltlick.engine.ports import Cloud

ADDRESS = re.compile(r"(?:(?P<environment>[a-z0-9-]+):)?(?P<address>(?P<kind>[a-z_]+)/.+)")

PARTS = {
    "route_table": {"route": "table", "route_table_association": "table"},
    "security_group": {"security_group_rules": "group"},
}
"""Kinds that have parts: the parts' kinds, and their field that holds the id of the whole."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an object belongs: its environment (a tag, no pillar), its region, and how long a wait may take.

    `context` lives as long as the run of Salt: an AWS client takes a quarter of a second to make, and an SLS has many states.
    """

    environment: str
    region: str
    deadline_s: float = 900
    context: MutableMapping[str, Any] = field(default_factory=dict)

    def cloud(self) -> Cloud:
        """The AWS API of the region, one for all states of a run."""
        name = f"saltlick.cloud.{self.region}"
        if name not in self.context:
            self.context[name] = aws.connect(self.region)
        return cast("Cloud", self.context[name])


@dataclass(frozen=True, kw_only=True)
class Part:
    """One object as an SLS describes it; `given` are its kind's properties in plain data, None for "not said"."""

    kind: str
    name: str
    given: Mapping[str, Any]
    title: str | None = None
    tags: Mapping[str, str] | None = None

    @property
    def address(self) -> str:
        return f"{self.kind}/{self.name}"


State = Callable[..., dict[str, Any]]


def state_of(kind: str, dunders: Mapping[str, Any]) -> Callable[[Callable[..., Any]], State]:
    """Make the declaration of a state function (its arguments and its documentation) the state of a kind.

    A declaration has `name`, `environment`, `region` and `deadline_s`. Its name ends in `absent`, or it also has `title`, `tags`
    and the kind's properties. It returns the properties with the parts of the object, where they are not the arguments.
    `dunders` are the globals of the state module, into which Salt's loader puts `__opts__` and its like.
    """

    def decorate(declaration: Callable[..., Any]) -> State:
        signature = inspect.signature(declaration)

        @functools.wraps(declaration)
        def run(*args: Any, **kwargs: Any) -> dict[str, Any]:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            values = dict(bound.arguments)
            name, where = values.pop("name"), {key: values.pop(key) for key in ("environment", "region", "deadline_s")}
            place = Place(**where, context=dunders["__context__"])
            job_id = dunders.get("__orchestration_jid__") or dunders.get("__jid__") or ""
            if declaration.__name__.endswith("absent"):
                return absent(dunders["__opts__"], name, place, f"{kind}/{name}", job=job_id)
            about = {key: values.pop(key) for key in ("title", "tags")}
            properties, parts = declaration(*args, **kwargs) or (values, ())
            whole = Part(kind=kind, name=name, given=properties, **about)
            return present(dunders["__opts__"], name, place, whole, *parts, job=job_id)

        return run

    return decorate


def present(opts: Mapping[str, Any], name: str, place: Place, *parts: Part, job: str = "") -> dict[str, Any]:
    """Make one object, with its parts, what the SLS says. The first part is the whole that the others belong to."""

    def plan(cloud: Cloud) -> Plan:
        estate = _estate(place, parts)
        change = provision.plan(estate, cloud, _kinds(estate, parts[0].kind))
        gone = _parts_of(Key(place.environment, parts[0].address), change.snapshot.objects, change.undeclared)
        return dataclasses.replace(change, undeclared=(), actions=(*change.actions, *map(deletion, gone)))

    return _state(opts, name, place, plan, job)


def absent(opts: Mapping[str, Any], name: str, place: Place, address: str, *, job: str = "") -> dict[str, Any]:
    """Delete one object, with its parts; fine when there is none."""

    def plan(cloud: Cloud) -> Plan:
        whole = Key(place.environment, address)
        estate = dataclasses.replace(_estate(place, ()), resources=(_mention(whole),))
        shown = provision.show(estate, cloud, _kinds(estate, whole.kind))
        objects = {observed.key: observed for observed in shown}
        doomed = [observed for observed in shown if observed.key == whole] + _parts_of(whole, objects, shown)
        environments = (place.environment,)
        actions = tuple(map(deletion, doomed))
        return Plan(environments=environments, actions=actions, undeclared=(), missing=(), snapshot=Snapshot(objects))

    return _state(opts, name, place, plan, job)


def _state(opts: Mapping[str, Any], name: str, place: Place, plan: Callable[[Cloud], Plan], job: str) -> dict[str, Any]:
    def step() -> dict[str, Any]:
        if opts.get("test"):
            change = plan(place.cloud())
            change = dataclasses.replace(change, missing=())  # in a dry run, what the SLS makes before is not there yet
            return planned(render.data(change), render.text(change, everything=True))
        with running_job(opts, _job_request(place, name, job)) as running:
            return carried_out(_estate(place, ()), plan(place.cloud()), place.cloud(), running)

    return state(name, step)


def _job_request(place: Place, name: str, job_id: str) -> JobRequest:
    return JobRequest(
        environments=(place.environment,),
        feature="environment",
        action="state",
        subject=f"state {name}",
        reason=f"state {name}",
        caller=caller(job_id),
        over_stale=True,
    )


def _mention(key: Key) -> Resource:
    """A resource of which only the name is known: there are kinds that look for nothing that nobody mentions."""
    name = key.address.partition("/")[2]
    return Resource(environment=key.environment, kind=key.kind, name=name, title=name, properties=Properties())


def _kinds(estate: Estate, whole: str) -> dict[str, Kind]:
    """The kinds that have to be looked at for one object: its own, its parts', and those it refers to."""
    named = {ref.key.kind for resource in estate.resources for ref in references(resource.properties)}
    wanted = {whole, *named, *PARTS.get(whole, ()), *(resource.kind for resource in estate.resources)}
    return {name: kind for name, kind in KINDS.items() if name in wanted}


def _parts_of(whole: Key, objects: Mapping[Key, Observed], among: Iterable[Observed]) -> list[Observed]:
    if whole not in objects:
        return []
    identity, fields = objects[whole].id, PARTS.get(whole.kind, {})
    return [observed for observed in among if observed.properties.get(fields.get(observed.key.kind, "")) == identity]


def _estate(place: Place, parts: tuple[Part, ...]) -> Estate:
    resources = _resources(place, parts)
    named = {ref.key.environment for resource in resources for ref in references(resource.properties)}
    return Estate(
        environments=(place.environment,),
        region=place.region,
        resources=resources,
        peers=tuple(sorted(named - {place.environment})),
        deadlines=dict.fromkeys(KINDS, float(place.deadline_s)),
    )


def _resources(place: Place, parts: tuple[Part, ...]) -> tuple[Resource, ...]:
    made: list[Resource] = []
    problems: list[Problem] = []
    for part in parts:
        try:
            made.append(_resource(place, part))
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems, what="arguments")
    return tuple(made)


def _resource(place: Place, part: Part) -> Resource:
    cls = KINDS[part.kind].properties
    given = {field: _addressed(value) for field, value in part.given.items() if value is not None}
    try:
        properties = cls(**longform.fields(cls, given, place.environment))
    except longform.MisfitError as error:
        problems = [Problem(path(where, part.address), message) for where, message in error.problems]
        raise InvalidInput(problems, what="arguments") from error
    except ValueError as error:  # a kind's own check of its properties
        raise InvalidInput([Problem(part.address, str(error))], what="arguments") from error
    title = part.title or f"{place.environment}-{part.name}"
    return Resource(
        environment=place.environment,
        kind=part.kind,
        name=part.name,
        title=title,
        properties=properties,
        tags=part.tags or {},
    )


def _addressed(value: Any) -> Any:
    """`subnet/public-az1` and `control:vpc/main`, wherever a value can be a reference, as one; ids and the rest as is."""
    if isinstance(value, (list, tuple)):
        return [_addressed(item) for item in value]
    if isinstance(value, dict) and "ref" not in value and "join" not in value:
        return {name: _addressed(item) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    spelt = ADDRESS.fullmatch(value)
    if spelt is None or spelt["kind"] not in KINDS:
        return value
    return {"ref": spelt["address"]} | ({"environment": spelt["environment"]} if spelt["environment"] else {})
