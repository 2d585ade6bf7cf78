"""What clients may send: the models that check it, and that /openapi.json is made from.

Unknown fields are refused by name, every string, number and list is bounded, and nothing is
coerced: `"3"` is not 3 and `true` is not 1. `null` in an optional field counts as absent.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tidemill.errors import Fault
from tidemill.models import NAMED_PRIORITIES, NewTask, queue_name_pattern, type_name_pattern
from tidemill.retry import RetryPolicy

TEN_YEARS = 315_360_000.0
ONE_YEAR = 31_536_000.0
_FIRST_YEAR, _LAST_YEAR = 2000, 2199
_EXCLUSIVE = ("run_at", "delay_seconds")


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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RetryRequest(_Strict):
    """How long to wait before each retry (seconds); ± 25 % jitter, never below 1 s."""

    policy: Annotated[
        Literal["exponential", "fixed", "list"],
        Field(description="exponential: base x factor^(n-1); fixed: base; list: delays_seconds"),
    ] = "exponential"
    base_seconds: Delay = 1.0
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    max_seconds: Delay = 3600.0
    delays_seconds: Annotated[list[Seconds], Field(max_length=100)] = []

    def value(self) -> RetryPolicy:
        """Return the policy as core knows it."""
        return RetryPolicy(
            policy=self.policy,
            base_seconds=self.base_seconds,
            factor=self.factor,
            max_seconds=self.max_seconds,
            delays_seconds=tuple(self.delays_seconds),
        )

    def faults(self) -> list[Fault]:
        """Return the rules broken between fields."""
        listed = self.policy == "list"
        if listed != bool(self.delays_seconds):
            rule = "is required for policy list" if listed else "is for policy list only"
            return [Fault("retry.delays_seconds", rule)]
        return []


class TaskRequest(_Strict):
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
    max_retries: Annotated[int, Field(ge=0, le=1000)] | None = None
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


class BatchRequest(_Strict):
    """Tasks to enqueue together: all of them or none."""

    tasks: Annotated[list[TaskRequest], Field(min_length=1, max_length=10_000)]
