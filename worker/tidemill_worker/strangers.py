"""Tasks of types that this worker lacks: how often each went back is looked up, many at a time.

The rule is `tidemill.store.strangers`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from difflib import get_close_matches
from uuid import UUID

from tidemill.batching import Batcher
from tidemill.errors import TidemillError
from tidemill.models import ClaimedTask, Finish
from tidemill.store.strangers import Returns, judged
from tidemill_worker import metrics

LOOK_UP_SECONDS = 2.0
"""How long to wait for the history; without it a task is treated as one that never went back."""

SAY_SECONDS = 60.0
"""How often a line of the log names a type that is missing."""

LookUp = Callable[[Sequence[UUID], datetime], Awaitable[dict[UUID, Returns]]]

log = logging.getLogger("tidemill.worker")


class Strangers:
    """Ends the attempts of such tasks. Those that come together are looked up together."""

    def __init__(self, look_up: LookUp, types: Collection[str] = ()) -> None:
        """Ask `look_up`, with task ids and the creation of the oldest of them.

        `types` are those of this worker: the log may name the one that was meant.
        """
        self._look_up = look_up
        self._types = types
        self._asked: Batcher[ClaimedTask, Returns] = Batcher(self._returns)
        self._said_at: dict[str, float] = {}

    async def end(self, task: ClaimedTask) -> Finish:
        """Return the end of this attempt."""
        metrics.UNKNOWN_TYPES.labels(metrics.type_label(task.type)).inc()
        self._say(task.type)
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                returns = await self._asked.submit(task)
        except (TidemillError, TimeoutError) as error:
            log.debug("how often task %s went back is not known: %s", task.id, error)
            returns = Returns()
        return judged(task, returns)

    async def _returns(self, tasks: list[ClaimedTask]) -> list[Returns]:
        created = [task.created_at for task in tasks if task.created_at is not None]
        if not created:
            return [Returns()] * len(tasks)
        known = await self._look_up([task.id for task in tasks], min(created))
        return [known.get(task.id, Returns()) for task in tasks]

    def _say(self, kind: str) -> None:
        now = time.monotonic()
        if now - self._said_at.get(kind, float("-inf")) >= SAY_SECONDS:
            self._said_at[kind] = now
            near = get_close_matches(kind, self._types, n=1, cutoff=0.75)
            log.warning(
                "no handler for type %s in this app%s: its tasks go back, uncharged, for workers "
                "that have one; an hour later they are dead letters",
                kind,
                f" (did you mean {near[0]}?)" if near else "",
            )
