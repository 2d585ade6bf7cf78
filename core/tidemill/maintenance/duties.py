"""The duties, all of one shape: an interval, one call, what it did."""

import logging
from collections.abc import Callable, Iterable

from tidemill import metrics
from tidemill.service import Loop
from tidemill.store import Store

log = logging.getLogger(__name__)

BATCH = 1000
"""Rows that a duty acts on in one statement: short locks, and room for others."""

Hint = Callable[[str], None]


class Duty(Loop):
    """What all duties have: the store, and a count of what was done."""

    def __init__(self, name: str, store: Store, interval: float, hint: Hint | None = None) -> None:
        """Act on `store` every `interval` seconds; tell `hint` which queues got something."""
        super().__init__(name, interval)
        self._store = store
        self._hint = hint

    def _done(self, rows: int) -> int:
        """Count `rows`; return them when there may be more, else 0."""
        metrics.UPKEEP.labels(self.name).inc(rows)
        return rows if rows >= BATCH else 0

    def _tell(self, queues: Iterable[str]) -> None:
        if self._hint:
            for queue in queues:
                self._hint(queue)


class Promoter(Duty):
    """Moves tasks that are due to their queues."""

    def __init__(self, store: Store, interval: float, hint: Hint | None = None) -> None:
        """Look every `interval` seconds; tell `hint` which queues got tasks."""
        super().__init__("promoter", store, interval, hint)

    async def run_once(self) -> int:
        """Promote one batch."""
        promoted = await self._store.upkeep.promote(BATCH)
        self._tell(promoted)
        return self._done(promoted.total())


class Recoverer(Duty):
    """Takes back the leases of workers that died or hung."""

    def __init__(
        self, store: Store, interval: float, max_crashes: int, hint: Hint | None = None
    ) -> None:
        """Look every `interval` seconds; a task that crashed `max_crashes` workers is dead."""
        super().__init__("recoverer", store, interval, hint)
        self._max_crashes = max_crashes

    async def run_once(self) -> int:
        """Recover one batch."""
        recovered = await self._store.upkeep.recover(BATCH, self._max_crashes)
        for (queue, outcome), count in recovered.items():
            log.warning(
                "%d expired leases taken back", count, extra={"queue": queue, "outcome": outcome}
            )
        self._tell({queue for queue, _ in recovered})
        return self._done(recovered.total())


class Folder(Duty):
    """Folds appended statistics into buckets."""

    def __init__(self, store: Store, interval: float) -> None:
        """Fold every `interval` seconds."""
        super().__init__("folder", store, interval)

    async def run_once(self) -> int:
        """Fold one batch."""
        return self._done(await self._store.upkeep.fold(BATCH))


class Expirer(Duty):
    """Removes what is past its keep time."""

    def __init__(self, store: Store, interval: float) -> None:
        """Look every `interval` seconds."""
        super().__init__("expirer", store, interval)

    async def run_once(self) -> int:
        """Remove one batch."""
        return self._done(await self._store.upkeep.expire(BATCH))


class Purger(Duty):
    """Deletes the tasks of queues whose TaskQueue is gone and said Purge."""

    def __init__(self, store: Store, interval: float) -> None:
        """Look every `interval` seconds."""
        super().__init__("purger", store, interval)

    async def run_once(self) -> int:
        """Delete one batch of each such queue."""
        gone = await self._store.purges.step(BATCH)
        for queue, tasks in gone.items():
            log.info("%d tasks purged: the TaskQueue is gone", tasks, extra={"queue": queue})
        self._done(sum(gone.values()))
        return sum(gone.values())


class Partitioner(Duty):
    """Creates daily partitions ahead of time."""

    def __init__(self, store: Store, interval: float) -> None:
        """Look every `interval` seconds."""
        super().__init__("partitioner", store, interval)

    async def run_once(self) -> int:
        """Create what is missing."""
        return self._done(await self._store.upkeep.ensure_partitions())
