"""Settings of queues."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from tidemill.errors import Fault
from tidemill_api.requests.fields import WHOLE, Priority, Retries, Seconds, Strict
from tidemill_api.requests.retry import RetryRequest

MOST_TASKS = 2_147_483_647


class RateLimitRequest(Strict):
    """At most `tasks` starts in `seconds`."""

    tasks: Annotated[float, Field(gt=0, le=1e9)]
    seconds: Annotated[float, Field(gt=0, le=86_400)]


class RetentionRequest(Strict):
    """How long ended tasks are kept (seconds)."""

    succeeded_seconds: Seconds | None = None
    failed_seconds: Seconds | None = None
    cancelled_seconds: Seconds | None = None


class QueueRequest(Strict):
    """Settings of a queue. What is left out stays as it is; null goes back to the default."""

    priority: Annotated[Priority | None, Field(description="for tasks without one")] = None
    max_retries: Retries | None = None
    timeout_seconds: Annotated[float, Field(ge=0.001, le=604_800)] | None = None
    retry: RetryRequest | None = None
    lease_seconds: Annotated[float, Field(ge=1, le=86_400)] | None = None
    max_depth: Annotated[
        Annotated[int, Field(ge=1, le=MOST_TASKS), WHOLE] | None,
        Field(description="waiting tasks beyond which enqueues get 429"),
    ] = None
    max_running: Annotated[
        Annotated[int, Field(ge=1, le=MOST_TASKS), WHOLE] | None,
        Field(description="tasks that run at once, in all workers together"),
    ] = None
    rate_limit: RateLimitRequest | None = None
    unknown_types: Literal["accept", "reject"] | None = None
    starvation_seconds: Annotated[
        Seconds | None,
        Field(description="age from which a low priority gets a turn; 0: never"),
    ] = None
    retention: RetentionRequest | None = None

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields."""
        return () if self.retry is None else self.retry.faults()

    def changes(self) -> dict[str, Any]:
        """Return the columns to write, by name; null clears."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if self.retry is not None:
            given["retry"] = self.retry.value()
        if "rate_limit" in given:
            rate = given.pop("rate_limit")
            given["rate_tasks"] = None if rate is None else rate.tasks
            given["rate_seconds"] = None if rate is None else rate.seconds
        if "retention" in given:
            kept = given.pop("retention") or RetentionRequest()
            names = kept.model_fields_set or RetentionRequest.model_fields
            given.update({name: getattr(kept, name) for name in names})
        return given
