"""Which stretch of the past is asked for, and which page of decisions."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from tidemill_api.requests.fields import Instant, PageSize, QueueName, Strict

Spot = tuple[datetime, int]
_SPOT: Final = re.compile(r"([0-9]{1,17})\.([0-9]{1,18})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def spot_text(spot: Spot) -> str:
    """Return the text that stands for a place in a list ordered by time and number."""
    return f"{(spot[0] - _EPOCH) // _MICROSECOND}.{spot[1]}"


def _spot(value: object) -> object:
    parts = _SPOT.fullmatch(value) if isinstance(value, str) else None
    if parts is not None:
        return _EPOCH + int(parts[1]) * _MICROSECOND, int(parts[2])
    raise ValueError("must be the `next` of an earlier answer")


class HistoryQuery(Strict):
    """Of which queue, from when until when, and how fine."""

    queue: Annotated[
        QueueName | None, Field(description="only this queue; without it, all together")
    ] = None
    resolution: Annotated[
        Literal["minute", "hour", "day"],
        Field(description="minutes are kept for a day, hours for 30 days, days for ever"),
    ] = "minute"
    since: Annotated[
        Instant | None,
        Field(
            description="from the stretch of this time on, not after `until`; usually the last 60"
        ),
    ] = None
    until: Annotated[
        Instant | None, Field(description="as far as the stretch before this time; usually now")
    ] = None


class DecisionQuery(Strict):
    """Which page of scaling decisions, newest first."""

    cursor: Annotated[
        Annotated[
            Spot,
            BeforeValidator(_spot),
            WithJsonSchema({"type": "string", "pattern": f"^{_SPOT.pattern}$"}),
        ]
        | None,
        Field(description="`next` of the last page"),
    ] = None
    limit: PageSize = 100
