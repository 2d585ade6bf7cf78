"""Acts on all tasks that a filter finds."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import ConfigDict, Field, JsonValue
from pydantic.config import JsonDict

from tidemill.acts import Reach, TaskFilter
from tidemill.errors import Fault
from tidemill.states import Status
from tidemill_api.requests.fields import (
    WHOLE,
    Id,
    Instant,
    Priority,
    QueueName,
    StatusName,
    Strict,
    TypeName,
)

MOST_CHANGED = 100_000
ErrorType = Annotated[str, Field(min_length=1, max_length=300)]


class _Found(Strict):
    """What both kinds of filters have; all that is given must hold."""

    queue: QueueName | None = None
    type: TypeName | None = None
    priority: Priority | None = None
    created_after: Annotated[Instant | None, Field(description="at this time or later")] = None
    created_before: Annotated[Instant | None, Field(description="before this time")] = None
    error_type: Annotated[
        ErrorType | None, Field(description="the error's type, as in `ValueError`; of dead letters")
    ] = None

    @property
    def empty(self) -> bool:
        """Whether it finds everything."""
        return all(value is None for _, value in self)


class FilterRequest(_Found):
    """Which tasks; all that is given must hold."""

    status: StatusName | None = None

    def value(self) -> TaskFilter:
        """Return the filter as core knows it."""
        return TaskFilter(**dict(self))


class DeadLetterFilterRequest(_Found):
    """Which dead letters; all that is given must hold."""

    def value(self) -> TaskFilter:
        """Return the filter as core knows it."""
        return TaskFilter(**dict(self), status=Status.FAILED)


_ALL: Final[JsonDict] = {"properties": {"all": {"const": True}}, "required": ["all"]}
_EMPTY: Final[JsonDict] = {"additionalProperties": {"type": "null"}}
_NAMED: Final[list[JsonValue]] = [
    {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
    for name in ("status", *_Found.model_fields)
]


class _Bulk(Strict):
    """How far to go. A `next` in the answer, given back as `after`, goes on from there."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": _ALL,
            "then": {"properties": {"filter": _EMPTY}},
            "else": {"properties": {"filter": {"anyOf": _NAMED}}},
        }
    )

    everything: Annotated[
        bool, Field(alias="all", description="an empty filter is refused without it")
    ] = False
    dry_run: Annotated[bool, Field(description="count, change nothing")] = False
    limit: Annotated[
        int, Field(ge=1, le=MOST_CHANGED, description="stop after so many matches"), WHOLE
    ] = 10_000
    after: Annotated[Id | None, Field(description="`next` of the last answer")] = None

    def reach(self) -> Reach:
        """Return how far to go."""
        return Reach(dry_run=self.dry_run, limit=self.limit, after=self.after)

    def _unless_asked(self, found: _Found) -> Sequence[Fault]:
        if found.empty and not self.everything:
            return (Fault("filter", 'must name a field, or "all": true must be given'),)
        if self.everything and not found.empty:
            return (Fault("all", "is for an empty filter only", self.everything),)
        return ()


class BulkRequest(_Bulk):
    """Which tasks to act on, and how far to go."""

    filter: FilterRequest

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields."""
        return self._unless_asked(self.filter)


class ReprioritiseRequest(BulkRequest):
    """Which tasks get which priority."""

    priority: Priority


class MoveRequest(BulkRequest):
    """Which tasks go to which queue."""

    queue: QueueName


class DeadLettersRequest(_Bulk):
    """Which dead letters to act on, and how far to go."""

    filter: DeadLetterFilterRequest

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields."""
        return self._unless_asked(self.filter)
