"""Answers about what was: figures over time, and scaling decisions."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from tidemill_api.responses.base import Answer

_WAIT = Field(
    description="of the tasks that started: how long they could have been claimed before, "
    "estimated from a histogram; null where none started"
)


class PointAnswer(Answer):
    """What happened in one stretch of time: so many tasks or attempts, not how many there are."""

    at: Annotated[datetime, Field(description="the start of the stretch")]
    enqueued: int
    started: Annotated[int, Field(description="attempts")]
    succeeded: int
    failed: Annotated[int, Field(description="tasks that failed for good")]
    cancelled: int
    failed_attempts: Annotated[int, Field(description="whether or not they run again")]
    retries: int
    leases_expired: Annotated[int, Field(description="attempts whose worker was lost")]
    replayed: int
    run_seconds: Annotated[
        float, Field(description="of the attempts that ended in it; by its length: busy slots")
    ]
    wait_p50_seconds: Annotated[float | None, _WAIT]
    wait_p99_seconds: Annotated[float | None, _WAIT]


class HistoryAnswer(Answer):
    """A point for each stretch, oldest first; those in which nothing happened have zeros."""

    queue: Annotated[str | None, Field(description="null: all together")]
    resolution: Literal["minute", "hour", "day"]
    since: Annotated[
        datetime,
        Field(description="the start of the first: later than asked for where less is kept"),
    ]
    until: Annotated[
        datetime, Field(description="where the last one ends, which may still be to come")
    ]
    points: list[PointAnswer]


class DecisionAnswer(Answer):
    """A scaling decision that differed from the one before."""

    decided_at: datetime
    target: Annotated[
        str, Field(description="namespace/name of the TaskQueue, or up/HOST for `tidemill up`")
    ]
    queue: Annotated[str, Field(description="'*': about all queues that no TaskQueue names")]
    replicas: Annotated[int, Field(description="before")]
    desired: int
    reason: str
    inputs: Annotated[dict[str, Any], Field(description="what it was decided from")]
    clamps: Annotated[list[str], Field(description="the bounds that changed its result")]


class DecisionsAnswer(Answer):
    """Some scaling decisions of a queue, newest first."""

    decisions: list[DecisionAnswer]
    next: Annotated[
        str | None, Field(description="give it as `cursor` for the next page; null: the end")
    ]
