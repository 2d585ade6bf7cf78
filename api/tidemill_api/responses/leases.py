"""What workers in other languages are told."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from tidemill_api.responses.base import Answer


class RegisteredAnswer(Answer):
    """A worker that may claim now."""

    worker_id: int
    lease_seconds: Annotated[
        float, Field(description="how long a claim lasts where neither queue nor worker says")
    ]
    heartbeat_seconds: Annotated[float, Field(description="extend this often, or more often")]


class ClaimedTaskAnswer(Answer):
    """A task to run. `task_id` and `token` are the lease: whatever ends the attempt names both."""

    task_id: UUID
    token: int
    type: str
    name: str | None
    queue: str
    priority: int
    payload: Any
    headers: dict[str, str] | None
    attempt: Annotated[int, Field(description="which run, from 1")]
    retry_count: int
    crash_count: int
    max_retries: int
    timeout_seconds: Annotated[
        float, Field(description="past it, stop the handler and report a failure")
    ]
    lease_seconds: Annotated[float, Field(description="until the first extension")]
    created_at: datetime | None
    expires_at: datetime | None


class ClaimAnswer(Answer):
    """Tasks that are the worker's now; none where the wait brought none."""

    tasks: list[ClaimedTaskAnswer]
    draining: Annotated[bool, Field(description="the worker is to end: it gets nothing more")]


class EndedAnswer(Answer):
    """What became of one lease."""

    task_id: UUID
    token: int
    held: Annotated[
        bool, Field(description="recorded, now or before; false: the lease was lost, nothing is")
    ]


class EndsAnswer(Answer):
    """One entry a lease, in the order given."""

    leases: list[EndedAnswer]


class ExtendedAnswer(Answer):
    """What became of one lease."""

    task_id: UUID
    token: int
    held: Annotated[bool, Field(description="false: stop the handler, its outcome counts no more")]
    cancel_requested: Annotated[bool, Field(description="stop the handler and release the lease")]


class ExtendAnswer(Answer):
    """One entry a lease, in the order given; and what the worker should know."""

    leases: list[ExtendedAnswer]
    released: Annotated[int, Field(description="tasks that `release_others` gave back")]
    registered: Annotated[bool, Field(description="false: register again before the next claim")]
    draining: Annotated[bool, Field(description="the worker is to end: it gets nothing more")]
