"""Tasks to enqueue."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from tidemill.errors import Fault
from tidemill.models import NewTask
from tidemill_api.requests.fields import (
    ONE_YEAR,
    HeaderName,
    HeaderValue,
    Instant,
    Key,
    Priority,
    QueueName,
    Retries,
    Seconds,
    Strict,
    TypeName,
)
from tidemill_api.requests.retry import RetryRequest

_EXCLUSIVE = ("run_at", "delay_seconds")


class TaskRequest(Strict):
    """A task to enqueue. What is left out comes from the task's type, its queue, or the default."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "required": list(_EXCLUSIVE),
                "properties": {name: {"not": {"type": "null"}} for name in _EXCLUSIVE},
            }
        }
    )

    type: Annotated[TypeName, Field(description="which handler runs it")]
    payload: Annotated[Any, Field(description="any JSON value that the type's schema allows")] = (
        Field(default_factory=dict[str, Any])
    )
    queue: QueueName | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    priority: Annotated[Priority | None, Field(description="higher runs first; default 0")] = None
    run_at: Annotated[Instant | None, Field(description="not before this time")] = None
    delay_seconds: Annotated[Seconds | None, Field(description="not before now + this")] = None
    max_retries: Retries | None = None
    timeout_seconds: Annotated[float, Field(ge=0.001, le=604_800)] | None = None
    retry: RetryRequest | None = None
    idempotency_key: Annotated[
        Key | None,
        Field(description="a second task of this key and queue is answered by the first"),
    ] = None
    idempotency_ttl_seconds: Annotated[float, Field(ge=1, le=ONE_YEAR)] | None = None
    expires_at: Annotated[
        Instant | None, Field(description="cancelled if it has not started by then")
    ] = None
    headers: Annotated[
        dict[HeaderName, HeaderValue] | None,
        Field(max_length=32, description="carried to the handler, such as traceparent"),
    ] = None

    def value(self) -> NewTask:
        """Return the task as core knows it."""
        return NewTask(
            type=self.type,
            payload=self.payload,
            queue=self.queue,
            name=self.name,
            priority=self.priority,
            run_at=self.run_at,
            delay_seconds=self.delay_seconds,
            max_retries=self.max_retries,
            timeout_seconds=self.timeout_seconds,
            retry=None if self.retry is None else self.retry.value(),
            idempotency_key=self.idempotency_key,
            idempotency_ttl_seconds=self.idempotency_ttl_seconds,
            expires_at=self.expires_at,
            headers=self.headers,
        )

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields; empty for nearly every task."""
        found: list[Fault] = []
        if self.run_at is not None and self.delay_seconds is not None:
            found.append(Fault("delay_seconds", "must not be given together with run_at"))
        if self.idempotency_ttl_seconds is not None and self.idempotency_key is None:
            found.append(Fault("idempotency_ttl_seconds", "is for tasks with an idempotency_key"))
        if self.retry is not None:
            found.extend(self.retry.faults())
        return found


TaskRequests = Annotated[list[TaskRequest], Field(min_length=1, max_length=10_000)]


class BatchRequest(Strict):
    """Tasks to enqueue together: all of them or none."""

    tasks: TaskRequests


TaskLines = Annotated[
    str,
    Field(
        description="a TaskRequest as JSON a line, at most 10,000 of them and 64 MiB: read while "
        'it arrives, stored whole or not at all. Two tasks: {"type": "resize", "payload": {"photo":'
        ' 1}}\\n{"type": "resize"}\\n',
    ),
]
