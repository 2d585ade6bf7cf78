"""What all answers have in common, and what an error looks like."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """An answer: exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class FaultAnswer(Answer):
    """One broken rule."""

    field: Annotated[str, Field(examples=["tasks[3].payload.to"])]
    rule: Annotated[str, Field(examples=["must be text"])]
    value: Annotated[Any, Field(description="what was given, shortened; null where nothing was")]


class ProblemAnswer(Answer):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(examples=["urn:tidemill:problem:invalid-task"])]
    title: str
    status: int
    detail: str
    request_id: str
    faults: list[FaultAnswer] | None = None
