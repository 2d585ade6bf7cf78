"""A background task that ends by an error takes the worker down with it, loudly."""

import logging
from asyncio import Task
from collections.abc import Callable
from typing import Any

log = logging.getLogger("tidemill.worker")


def watch_over(task: Task[Any], failed: Callable[[], None]) -> None:
    """Log the error that ends `task`, should one, and call `failed`.

    Such an error is a bug; a worker that goes on without the part would hold leases and do nothing.
    """

    def ended(task: Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("%s failed: the worker ends", task.get_name(), exc_info=error)
            failed()

    task.add_done_callback(ended)
