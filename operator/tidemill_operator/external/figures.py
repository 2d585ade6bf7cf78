"""What the metrics say of the TaskQueues of a namespace: read when asked, shared for a second.

A queue that cannot be read has no figure: unknown is not zero.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from tidemill.errors import TidemillError
from tidemill_operator.assignment import assign, reading_for
from tidemill_operator.decision import Observation, decide
from tidemill_operator.external.documents import Value
from tidemill_operator.memory import Memory
from tidemill_operator.need import Reading
from tidemill_operator.policy import DUE_SECONDS, EVERY_QUEUE, Policy, StepLimits
from tidemill_operator.queues import Look, Queues
from tidemill_operator.view import View, key_of, uid_of

FRESH_SECONDS: Final = 1.0
"""Below the interval at which HPAs ask: many that ask at once are one reading."""

Figure = Callable[[Mapping[str, Any], Reading], float]


class NoFigures(TidemillError):
    """Raised while nothing can be said: the database is away, or the cluster not seen yet."""


def _desired(task_queue: Mapping[str, Any], reading: Reading) -> float:
    """Return what our rules call for now, within the bounds: whoever asks smooths by itself."""
    spec = task_queue["spec"]
    policy = replace(
        Policy.of(spec), up=StepLimits(), down=StepLimits(), idle_seconds=0.0, protect_busy=False
    )
    observation = Observation(now=0.0, replicas=spec.get("replicas", 1), reading=reading)
    return decide(observation, policy, Memory()).replicas


METRICS: Final[Mapping[str, Figure]] = {
    "tidemill_queue_tasks": lambda _, seen: seen.queued + seen.running,
    "tidemill_queue_queued": lambda _, seen: seen.queued,
    "tidemill_queue_running": lambda _, seen: seen.running,
    "tidemill_queue_oldest_seconds": lambda _, seen: seen.oldest_seconds,
    "tidemill_queue_desired_workers": _desired,
}


class Figures:
    """The figures of every TaskQueue that is served."""

    def __init__(self, view: View, queues: Queues) -> None:
        """Read TaskQueues from `view` and their queues with `queues`; nothing is read yet."""
        self._view = view
        self._queues = queues
        self._lock = asyncio.Lock()
        self._look: Look | None = None
        self._read_at = -math.inf

    async def values(self, namespace: str, metric: str) -> tuple[list[Value], str]:
        """Return the values of a metric in `namespace`, and when they were read.

        Raises NoFigures.
        """
        if not self._view.complete:
            raise NoFigures("the TaskQueues are not known yet")
        look = await self._fresh()
        if look.snapshots is None:
            why = "" if look.problem is None else f": {look.problem.message}"
            raise NoFigures(f"the queues cannot be read{why}")
        task_queues = self._view.task_queues
        assigned = assign(task_queues)
        found = list[Value]()
        for each in task_queues:
            assignment = assigned.get(uid_of(each))
            if assignment is None or assignment.problem or key_of(each)[0] != namespace:
                continue
            figure = METRICS[metric](each, reading_for(assignment, look.snapshots))
            labels = {"queue": assignment.queue, "taskqueue": key_of(each)[1]}
            found.append(Value(labels=labels, milli=round(figure * 1000)))
        return found, datetime.fromtimestamp(look.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def _fresh(self) -> Look:
        async with self._lock:
            if self._look is None or time.monotonic() - self._read_at >= FRESH_SECONDS:
                self._look = await self._queues.look({EVERY_QUEUE: DUE_SECONDS})
                self._read_at = time.monotonic()
            return self._look
