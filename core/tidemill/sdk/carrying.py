"""What an enqueue inside a running task hands on to the new tasks: the trace that it belongs to."""

from collections.abc import Iterable

from tidemill.models import NewTask
from tidemill.sdk.context import current
from tidemill.tracing import TRACEPARENT, handed_on


def carry_on(tasks: Iterable[NewTask]) -> None:
    """Put `tasks` that name no trace of their own into the trace of the task that runs here."""
    context = current.get()
    if context is None:
        return
    for task in tasks:
        headers = task.headers or {}
        if TRACEPARENT not in headers:
            task.headers = headers | handed_on(context.trace, context.headers)
