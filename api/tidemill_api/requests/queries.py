"""What may stand in the query of a list. Each parameter at most once, unknown ones are refused."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from tidemill_api.requests.bulk import ErrorType
from tidemill_api.requests.fields import (
    Id,
    Instant,
    PageSize,
    QueueName,
    StatusName,
    Strict,
    TypeName,
    Wait,
)

Mark = tuple[datetime, UUID]
_MARK: Final = re.compile(r"([0-9]{1,17})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_MARK_SCHEMA: Final = {"type": "string", "pattern": f"^{_MARK.pattern}$"}
_WORKER: Final = re.compile(r"[0-9]{1,18}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def cursor_of(mark: Mark) -> str:
    """Return the text that stands for a place in a list ordered by time and id."""
    return f"{(mark[0] - _EPOCH) // _MICROSECOND}.{mark[1]}"


def _mark(value: object) -> object:
    parts = _MARK.fullmatch(value) if isinstance(value, str) else None
    if parts is not None:
        return _EPOCH + int(parts[1]) * _MICROSECOND, UUID(parts[2])
    raise ValueError("must be the `next` of an earlier answer")


def _worker(value: object) -> object:
    if isinstance(value, str) and _WORKER.fullmatch(value):
        return int(value)
    raise ValueError("must be the `next` of an earlier answer")


_NEXT: Final = "`next` of the last page"


class TaskQuery(Strict):
    """Which tasks to list, newest first."""

    status: StatusName | None = None
    queue: QueueName | None = None
    type: TypeName | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    created_after: Annotated[Instant | None, Field(description="at this time or later")] = None
    created_before: Annotated[Instant | None, Field(description="before this time")] = None
    cursor: Annotated[Id | None, Field(description=_NEXT)] = None
    limit: PageSize = 100


class WaitQuery(Strict):
    """How long to wait for a task to end."""

    wait: Annotated[Wait, Field(description="seconds; answered as soon as the task has ended")] = (
        0.0
    )


class WorkerQuery(Strict):
    """Which page of workers."""

    cursor: Annotated[
        Annotated[
            int,
            BeforeValidator(_worker),
            WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,18}$"}),
        ]
        | None,
        Field(description=_NEXT),
    ] = None
    limit: PageSize = 100


class DeadLetterQuery(Strict):
    """Which dead letters to list, latest failure first."""

    queue: QueueName | None = None
    type: TypeName | None = None
    error_type: ErrorType | None = None
    cursor: Annotated[
        Annotated[Mark, BeforeValidator(_mark), WithJsonSchema(_MARK_SCHEMA)] | None,
        Field(description=_NEXT),
    ] = None
    limit: PageSize = 100
