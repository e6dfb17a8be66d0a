"""Executes one step against AWS and returns the object's state, also when AWS's answer was lost."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping

from saltlick.engine.diff import changes, fields_of
from saltlick.engine.observe import collect
from saltlick.engine.plan import Action, Plan, Verb
from saltlick.engine.ports import Cloud
from saltlick.engine.resource import Attributes, Effect, Key, Kind, Observed, Ref, Resource, Scope, Wanted, resolve
from saltlick.engine.schedule import ScheduledStep
from saltlick.engine.wait import until
from saltlick.errors import AwsError, AwsUnclear, WaitTimeout

DEFAULT_DEADLINE_S = 600.0
VISIBLE_S = 60.0
"""For how long AWS may deny that an object exists which it has just made."""
LOST_LOOKUP_S = 5.0
"""For how long an object is looked for whose create call got no answer, before the call is repeated."""
UNCLEAR_PAUSE_S = 0.25
"""Before a deletion without an answer is repeated; doubled each time, so that five tries outlast a hiccup of AWS."""
TRIES = 5


class Hands:
    """State shared by the steps of one run: the API, the created objects, and the run's name for client tokens."""

    def __init__(
        self, plan: Plan, kinds: Mapping[str, Kind], cloud: Cloud, deadlines: Mapping[str, float], run: str
    ) -> None:
        self.kinds = kinds
        self.cloud = cloud
        self._snapshot = plan.snapshot
        self._deadlines = deadlines
        self._run = run
        self._made: dict[Key, Attributes] = {}
        self._lock = threading.Lock()

    def do(self, step: ScheduledStep) -> str:
        """Execute one step; return the object's id. Raises: SaltlickError."""
        if step.free and step.action.observed:
            return step.action.observed.id
        if step.destroys:
            return self._destroy(step.action)
        return self._make(step.action)

    def _destroy(self, action: Action) -> str:
        assert action.observed is not None
        kind = self.kinds[action.key.kind]
        for attempt in range(TRIES):
            try:
                kind.destroy(self.cloud, action.observed, self._deadline_s(kind))
                break
            except AwsUnclear:
                if attempt == TRIES - 1:
                    raise
                self.cloud.clock.sleep(UNCLEAR_PAUSE_S * 2**attempt)
        return action.observed.id

    def _make(self, action: Action) -> str:
        assert action.resource is not None
        kind = self.kinds[action.key.kind]
        wanted = self._wanted(kind, action.resource)
        attributes = self._brought_about(kind, action, wanted)
        if kind.settles:
            attributes = kind.settle(self._patient(), attributes, wanted.deadline_s)
        with self._lock:
            self._made[action.key] = attributes
        return attributes["id"]

    def _brought_about(self, kind: Kind, action: Action, wanted: Wanted) -> Attributes:
        """Create or update; when an answer is lost, observe the object and continue from its state."""
        observed = None if action.verb in (Verb.CREATE, Verb.REPLACE) else action.observed
        fields = fields_of(action.changes)
        for attempt in range(TRIES):
            try:
                if observed is None:
                    return kind.create(self._patient(), wanted)
                if not fields:
                    return observed.attributes
                return kind.update(self._patient(), wanted, observed, fields)
            except AwsUnclear:
                if attempt == TRIES - 1:
                    raise
                observed = self._look_again(kind, wanted.resource, action)
                fields = self._still_to_do(kind, wanted.resource, observed)
        raise AssertionError("unreachable")

    def _look_again(self, kind: Kind, resource: Resource, action: Action) -> Observed | None:
        """The object as it is now, or None when it does not exist. Raises: AwsError."""
        replaced = action.observed.id if action.verb is Verb.REPLACE and action.observed else None
        scope = Scope((resource.environment,), {resource.key: resource})

        def look() -> Observed | None:
            matching = (
                o for o in kind.observe(self.cloud.reading(), scope) if o.key == resource.key and o.id != replaced
            )
            return collect(matching).objects.get(resource.key)

        try:
            return until(
                look, bool, what=str(resource.key), describe=str, deadline_s=LOST_LOOKUP_S, clock=self.cloud.clock
            )
        except WaitTimeout:
            return None

    def _still_to_do(self, kind: Kind, resource: Resource, observed: Observed | None) -> frozenset[str]:
        if observed is None:
            return frozenset()
        differences = changes(kind, resource, observed, self._attribute)
        return fields_of(tuple(change for change in differences if change.effect is Effect.UPDATE))

    def _wanted(self, kind: Kind, resource: Resource) -> Wanted:
        properties = resolve(resource.properties, self._require)
        digest = hashlib.sha256(str(resource.key).encode()).hexdigest()[:20]
        return Wanted(
            resource=resource,
            properties=properties,
            tags=resource.all_tags(),
            token=f"saltlick-{self._run}-{digest}",
            deadline_s=self._deadline_s(kind),
        )

    def _require(self, ref: Ref) -> str:
        value = self._attribute(ref)
        if value is None:
            raise AwsError("look-up", "Unknown", f"{ref.key} has no {ref.attribute}")
        return value

    def _attribute(self, ref: Ref) -> str | None:
        created = self._made.get(ref.key)
        if created is not None and ref.attribute in created:
            return created[ref.attribute]
        return self._snapshot.attribute(ref)

    def _patient(self) -> Cloud:
        """An object was just created: AWS is eventually consistent and may not return it everywhere yet."""
        return self.cloud.patient(VISIBLE_S) if self._made else self.cloud

    def _deadline_s(self, kind: Kind) -> float:
        return self._deadlines.get(kind.name, DEFAULT_DEADLINE_S)
