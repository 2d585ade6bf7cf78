"""Task types."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from tidemill.errors import Fault
from tidemill.models import TaskType
from tidemill_api.payloads import PayloadCheck
from tidemill_api.references import lost_reference
from tidemill_api.requests.fields import Priority, QueueName, Retries, Strict
from tidemill_api.requests.retry import RetryRequest


class TypeRequest(Strict):
    """A task type as a whole: what is left out takes the queue's default, then the system's."""

    payload_schema: Annotated[
        dict[str, Any] | None,
        Field(alias="schema", description="JSON Schema of the payload; null: anything goes"),
    ] = None
    description: Annotated[str, Field(max_length=4096)] | None = None
    queue: QueueName | None = None
    priority: Priority | None = None
    max_retries: Retries | None = None
    timeout_seconds: Annotated[float, Field(ge=0.001, le=604_800)] | None = None
    retry: RetryRequest | None = None

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields, and what is wrong with the schema."""
        found = list(self.retry.faults()) if self.retry is not None else []
        if self.payload_schema is None:
            return found
        if broken := PayloadCheck("", self.payload_schema).broken:
            found.append(Fault("schema", f"must be a JSON Schema: {broken}"))
        elif lost := lost_reference(self.payload_schema):
            rule = f"must refer to what is in it: {lost!r} is not, and nothing is fetched"
            found.append(Fault("schema", rule))
        return found

    def value(self, name: str) -> TaskType:
        """Return the type `name` as core knows it."""
        return TaskType(
            name=name,
            schema=self.payload_schema,
            description=self.description,
            queue=self.queue,
            priority=self.priority,
            max_retries=self.max_retries,
            timeout_seconds=self.timeout_seconds,
            retry=None if self.retry is None else self.retry.value(),
        )
