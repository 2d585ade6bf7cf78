"""What an act by filter did."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from tidemill_api.responses.base import Answer


class BulkAnswer(Answer):
    """Counts of tasks. In a dry run only `matched` and `next` say anything."""

    matched: Annotated[int, Field(description="found by the filter")]
    changed: Annotated[int, Field(description="done at once")]
    requested: Annotated[int, Field(description="running: their workers are told")]
    refused: Annotated[int, Field(description="their status had changed by then")]
    key_taken: Annotated[int, Field(description="another task holds their idempotency key")]
    missing: Annotated[int, Field(description="gone by then")]
    next: Annotated[
        UUID | None, Field(description="give it as `after` to go on; null: all were seen")
    ]
