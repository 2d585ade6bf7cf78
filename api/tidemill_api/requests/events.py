"""What a stream of events is to tell."""

from typing import Annotated

from pydantic import Field

from tidemill_api.requests.fields import Id, QueueName, Strict

MOST_TASKS = 100
MOST_QUEUES = 20


class EventQuery(Strict):
    """Which tasks and queues are watched; both may be given several times."""

    task: Annotated[
        list[Id],
        Field(max_length=MOST_TASKS, description="a task whose changes are told; may be repeated"),
    ] = Field(default_factory=list[Id])
    queue: Annotated[
        list[QueueName],
        Field(
            max_length=MOST_QUEUES,
            description="only the figures of this queue, and the changes of its newest tasks; "
            "may be repeated",
        ),
    ] = Field(default_factory=list[QueueName])
