"""Tasks of types that this worker lacks: they go back uncharged, for a while.

Another worker, or this one's newer version, may have the type (a rolling deploy). Each return waits
longer than the one before; a task that nobody has run within an hour of its first return is a dead
letter. How often and since when is read from the task's history: this process may be a new one, and
the others are at it too.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

from tidemill.batching import Batcher
from tidemill.errors import Fault, TidemillError, UnknownType
from tidemill.models import ClaimedTask, Finish
from tidemill.states import Outcome
from tidemill.store.strangers import Returns
from tidemill_worker import metrics
from tidemill_worker.conclude import described

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 30.0
PATIENCE_SECONDS = 3600.0
LOOK_UP_SECONDS = 2.0
"""How long to wait for the history; without it a task is treated as one that never went back."""

SAY_SECONDS = 60.0
"""How often a line of the log names a type that is missing."""

LookUp = Callable[[Sequence[UUID], datetime], Awaitable[dict[UUID, Returns]]]

log = logging.getLogger("tidemill.worker")


class Strangers:
    """Ends the attempts of such tasks. Those that come together are looked up together."""

    def __init__(self, look_up: LookUp) -> None:
        """Ask `look_up`, with task ids and the creation of the oldest of them."""
        self._look_up = look_up
        self._asked: Batcher[ClaimedTask, Returns] = Batcher(self._returns)
        self._said_at: dict[str, float] = {}

    async def end(self, task: ClaimedTask) -> Finish:
        """Return the end of this attempt."""
        metrics.UNKNOWN_TYPES.labels(task.type).inc()
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
            log.warning("no handler for type %s: its tasks go back for others", kind)


def judged(task: ClaimedTask, returns: Returns) -> Finish:
    """Return the end of an attempt without a handler, after so many of them."""
    dead = returns.seconds >= PATIENCE_SECONDS
    return Finish(
        lease=task.lease,
        outcome=Outcome.FAILED if dead else Outcome.SNOOZED,
        delay_seconds=None if dead else _delay(returns.times),
        error=described(UnknownType(Fault("type", "has no handler in this worker", task.type))),
    )


def _delay(times: int) -> float:
    most = min(LONGEST_SECONDS, 2 * SHORTEST_SECONDS * 2 ** min(times, 10))
    return random.uniform(most / 2, most)
