"""Server-sent events as bytes."""

import random
from typing import Any, Final

from tidemill.models import QueueStats
from tidemill.store.watching import WatchedTask
from tidemill_api.encoding import encoded
from tidemill_api.shapes.lists import listed_task_json
from tidemill_api.shapes.stats import queue_stats_json

RETRY_MILLISECONDS: Final = (1000, 5000)
"""After what time a client comes again: each another, or all would come at once."""

HEARTBEAT: Final = b": ping\n\n"


def hello_frame() -> bytes:
    """Return what a stream begins with."""
    return b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS)


def queue_frame(figures: QueueStats) -> bytes:
    """Return the figures of a queue."""
    return _frame("queue", queue_stats_json(figures))


def task_frame(task: WatchedTask) -> bytes:
    """Return a task as it is now."""
    return _frame("task", {**listed_task_json(task), "progress": task.progress})


def gone_frame(task_id: object) -> bytes:
    """Return that a watched task is not there any more."""
    return _frame("task_gone", {"id": task_id})


def snapshot_frame() -> bytes:
    """Return what ends a snapshot: all before it was as it is now, what follows are changes."""
    return _frame("snapshot", {})


def away_frame() -> bytes:
    """Return that the database is away: what follows is a fresh snapshot, once it is back."""
    return _frame("unavailable", {"detail": "the database is away; a snapshot follows"})


def _frame(name: str, value: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encoded(value))
