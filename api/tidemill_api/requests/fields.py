"""The kinds of fields that requests are made of."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tidemill.errors import Fault
from tidemill.models import NAMED_PRIORITIES, queue_name_pattern, type_name_pattern
from tidemill.states import Status

TEN_YEARS = 315_360_000.0
ONE_YEAR = 31_536_000.0
_FIRST_YEAR, _LAST_YEAR = 2000, 2199
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WHOLE: Final = re.compile(r"-?[0-9]{1,9}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?")


class Strict(BaseModel):
    """A request or a part of one: unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields."""
        return ()


def _instant(value: object) -> object:
    """Return the time written in `value`, in UTC; a time without an offset means nothing."""
    if not isinstance(value, str):
        raise ValueError("must be a time as text, such as 2030-01-31T12:00:00Z")  # noqa: TRY004 - pydantic reports ValueError
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be an ISO 8601 time, such as 2030-01-31T12:00:00Z") from None
    if time.tzinfo is None:
        raise ValueError("must name its offset from UTC, such as Z or +02:00")
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise ValueError(f"must be between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return time.astimezone(UTC)


def _whole(value: object) -> object:
    """Return the whole number in `value`, however it is written: JSON Schema counts 3.0 as one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _priority(value: object) -> object:
    """Return the number of a named priority; anything else is left to the number's checks."""
    if isinstance(value, str):
        if value not in NAMED_PRIORITIES:
            raise ValueError(f"must be a whole number or one of {', '.join(NAMED_PRIORITIES)}")
        return NAMED_PRIORITIES[value]
    return _whole(value)


def uuid_of(text: str) -> UUID | None:
    """Return the UUID in `text`, written the usual way, or None."""
    return UUID(text) if _UUID.fullmatch(text) else None


def _id(value: object) -> object:
    found = uuid_of(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a UUID")
    return found


def _status(value: object) -> object:
    if value not in _STATUSES:
        raise ValueError(f"must be one of {', '.join(_STATUSES)}")
    return Status(value)


def from_text(most: int) -> Callable[[object], object]:
    """Return what reads a whole number from 1 to `most` out of a query."""

    def number(value: object) -> object:
        if not isinstance(value, str) or not _WHOLE.fullmatch(value):
            raise ValueError("must be a whole number")
        if not 1 <= int(value) <= most:
            raise ValueError(f"must be from 1 to {most}")
        return int(value)

    return number


def _wait(value: object) -> object:
    """Return the seconds to wait that a query names."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError("must be a number")
    if not 0 <= float(value) <= LONGEST_WAIT:
        raise ValueError(f"must be from 0 to {LONGEST_WAIT:g}")
    return float(value)


WHOLE: Final = BeforeValidator(_whole)
MOST_LISTED: Final = 1000
LONGEST_WAIT: Final = 60.0
_STATUSES: Final = tuple(each.value for each in Status)

Id = Annotated[UUID, BeforeValidator(_id), WithJsonSchema({"type": "string", "format": "uuid"})]
StatusName = Annotated[
    Status,
    BeforeValidator(_status),
    WithJsonSchema({"type": "string", "enum": list(_STATUSES)}),
]
PageSize = Annotated[
    int,
    BeforeValidator(from_text(MOST_LISTED)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": 100}),
]
Wait = Annotated[
    float,
    BeforeValidator(_wait),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": LONGEST_WAIT, "default": 0}),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": "^2[01][0-9]{2}-"}),
]
Priority = Annotated[
    int,
    BeforeValidator(_priority),
    Field(ge=-32768, le=32767),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": -32768, "maximum": 32767},
                {"type": "string", "enum": list(NAMED_PRIORITIES)},
            ]
        }
    ),
]
Retries = Annotated[int, Field(ge=0, le=1000), WHOLE]
Seconds = Annotated[float, Field(ge=0, le=TEN_YEARS)]
Delay = Annotated[float, Field(gt=0, le=TEN_YEARS)]
TypeName = Annotated[str, Field(pattern=type_name_pattern)]
QueueName = Annotated[str, Field(pattern=queue_name_pattern)]
Key = Annotated[str, Field(min_length=1, max_length=255)]
HeaderName = Annotated[str, Field(min_length=1, max_length=100)]
HeaderValue = Annotated[str, Field(max_length=4096)]
