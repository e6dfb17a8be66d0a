"""What is left of a pillar when the parts that cannot be read are taken out, so that checks can report all problems at once."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from saltlick.schema.problems import Location, as_written, details

T = TypeVar("T", bound=BaseModel)


class Readable(Generic[T]):
    """The readable part of a raw value of a model, and pydantic's `error` about the whole. `value` is None if something is
    missing that nothing can be said without."""

    def __init__(self, raw: Mapping[str, Any], model: type[T]) -> None:
        self.gone: set[Location] = set()
        self.value: T | None = None
        self.error: ValidationError | None = None
        self._model = model
        self._rest: Any = copy.deepcopy(dict(raw))
        self._taken: dict[Location, list[int]] = {}
        while self.value is None and () not in self.gone:
            self.value = self._read()

    def original(self, location: Location) -> Location:
        """Where a location of the rest stands in the whole pillar."""
        original_steps: Location = ()
        for step in location:
            if isinstance(step, int):
                for taken in sorted(self._taken.get(original_steps, ())):
                    step += taken <= step
            original_steps = (*original_steps, step)
        return original_steps

    def concerns(self, location: Location) -> bool:
        """Whether a location lies in, or around, a part that could not be read."""
        return any(location[: len(part)] == part or part[: len(location)] == location for part in self.gone)

    def _read(self) -> T | None:
        """The rest as the model has it; None when more had to be taken out."""
        try:
            return self._model.model_validate(self._rest)
        except ValidationError as error:
            self.error = self.error or error
            self._without({_unreadable(detail, self._rest) for detail in details(error)})
            return None

    def _without(self, locations: set[Location]) -> None:
        outermost = {
            position for position in locations if not any(position[:end] in locations for end in range(len(position)))
        }
        self._rest = copy.deepcopy(self._rest)  # the errors of before go on showing what they were about
        originals = {position: self.original(position) for position in outermost}
        for location in sorted(outermost, key=_order, reverse=True):
            self.gone.add(originals[location])
            if location:
                self._take_out(location, originals[location])

    def _take_out(self, location: Location, original: Location) -> None:
        *way, last = location
        inside = self._rest
        for step in way:
            inside = inside[step]
        del inside[last]
        if isinstance(last, int) and isinstance(original[-1], int):
            self._taken.setdefault(original[:-1], []).append(original[-1])


def _unreadable(detail: Any, raw: Any) -> Location:
    """The smallest part that can be taken out to be rid of one of pydantic's errors."""
    location = as_written(detail["loc"], raw, detail["type"])
    return location[:-1] if detail["type"] == "missing" else location


def _order(location: Location) -> list[tuple[int, int, str]]:
    return [(0, step, "") if isinstance(step, int) else (1, 0, step) for step in location]
