"""The kinds of fields that requests are made of."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tidemill.models import NAMED_PRIORITIES, queue_name_pattern, type_name_pattern

TEN_YEARS = 315_360_000.0
ONE_YEAR = 31_536_000.0
_FIRST_YEAR, _LAST_YEAR = 2000, 2199


class Strict(BaseModel):
    """A request or a part of one: unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    if not _FIRST_YEAR < time.year < _LAST_YEAR:
        raise ValueError(f"must be between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return time.astimezone(UTC)


def _priority(value: object) -> object:
    """Return the number of a named priority; anything else is left to the number's checks."""
    if isinstance(value, str):
        if value not in NAMED_PRIORITIES:
            raise ValueError(f"must be a whole number or one of {', '.join(NAMED_PRIORITIES)}")
        return NAMED_PRIORITIES[value]
    return value


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
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
Seconds = Annotated[float, Field(ge=0, le=TEN_YEARS)]
Delay = Annotated[float, Field(gt=0, le=TEN_YEARS)]
TypeName = Annotated[str, Field(pattern=type_name_pattern)]
QueueName = Annotated[str, Field(pattern=queue_name_pattern)]
Key = Annotated[str, Field(min_length=1, max_length=255)]
HeaderName = Annotated[str, Field(min_length=1, max_length=100)]
HeaderValue = Annotated[str, Field(max_length=4096)]
