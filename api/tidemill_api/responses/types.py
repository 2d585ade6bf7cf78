"""Task types."""

from typing import Annotated, Any

from pydantic import Field

from tidemill_api.responses.base import Answer


class TypeAnswer(Answer):
    """A task type; null takes the queue's default, then the system's."""

    name: str
    payload_schema: Annotated[
        dict[str, Any] | None,
        Field(serialization_alias="schema", description="JSON Schema of the payload"),
    ]
    description: str | None
    queue: str | None
    priority: int | None
    max_retries: int | None
    timeout_seconds: float | None
    retry: dict[str, Any] | None
    paused: bool
    app: Annotated[str, Field(description="who registered it last")]


class TypesAnswer(Answer):
    """All task types by name."""

    task_types: list[TypeAnswer]
