"""Records how attempts ended: batched by arrival, and not given up while the database is away.

Whatever waits when a flush returns goes into the next one. An outcome keeps its lease in the ledger
(so it is heartbeated, and takes up room) until the database has acknowledged it. When an answer is
lost with its connection, the same outcomes are sent again: they name their lease's token, and a
token records once. Those that then find no lease are looked up: recorded by the first attempt, or
lost to somebody else.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Protocol

from tidemill.errors import DatabaseUnavailable
from tidemill.models import Finish, Lease
from tidemill.service import Service
from tidemill.states import Outcome
from tidemill_worker import metrics
from tidemill_worker.backoff import Backoff
from tidemill_worker.chronicle import Chronicle
from tidemill_worker.conclude import Unstorable, fail
from tidemill_worker.ledger import Ledger
from tidemill_worker.run import Run
from tidemill_worker.supervision import watch_over

MOST = 1000

log = logging.getLogger("tidemill.worker")

Ending = tuple[Run, Finish]


class Outcomes(Protocol):
    """What is needed of the lease store."""

    async def finish(self, finishes: Sequence[Finish]) -> set[Lease]:
        """Record; return the leases that were still held."""
        ...

    async def recorded(self, leases: Sequence[Lease], since: datetime) -> set[Lease]:
        """Return those that have been recorded before."""
        ...


@dataclass(frozen=True, slots=True)
class Telling:
    """Whom the finisher tells."""

    recorded: Callable[[], None]
    """Called after each flush."""
    released: Callable[[str], None]
    """Called with a queue of which somebody else may run a task that was given back."""
    limited: Callable[[int], bool]
    """Whether the queue with this id has limits."""
    freed: Callable[[str], None]
    """Called with a queue with limits, of which a task has ended."""
    failed: Callable[[], None]
    """Called should this part ever end by an error of its own."""


class Finisher(Service):
    """`add` an end: it gets recorded."""

    name = "finisher"

    def __init__(self, leases: Outcomes, ledger: Ledger, telling: Telling) -> None:
        """Record through `leases`; take settled runs off the `ledger`."""
        self._leases = leases
        self._ledger = ledger
        self._telling = telling
        self._chronicle = Chronicle()
        self._waiting: deque[Ending] = deque()
        self._flushing = 0
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many ends are not acknowledged yet."""
        return len(self._waiting) + self._flushing

    def add(self, run: Run, finish: Finish) -> None:
        """Record this end soon."""
        self._waiting.append((run, finish))
        if not self._arrived.is_set():
            self._arrived.set()
            self._empty.clear()

    async def start(self) -> None:
        """Start recording."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self.name)
            watch_over(self._task, self._telling.failed)

    async def empty(self) -> None:
        """Wait until everything is acknowledged, however long it takes."""
        await self._empty.wait()

    async def flushed(self, seconds: float) -> bool:
        """Wait until everything is acknowledged, `seconds` at most; return whether it is."""
        try:
            await asyncio.wait_for(self._empty.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End. What is not acknowledged by now runs again when its lease expires."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._chronicle.sum_up()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            while self._waiting:
                batch = list(islice(self._waiting, MOST))
                for _ in batch:
                    self._waiting.popleft()
                self._flushing = len(batch)
                await self._flush(batch)
                self._flushing = 0
                self._telling.recorded()
            self._arrived.clear()
            self._empty.set()

    async def _flush(self, batch: list[Ending]) -> None:
        """Record `batch`, however long it takes, and settle it."""
        backoff = Backoff()
        unknown = False
        while True:
            try:
                recorded = await self._leases.finish([finish for _, finish in batch])
                if unknown:
                    recorded |= await self._recorded_before(batch, recorded)
            except Exception as error:  # noqa: BLE001 - whatever it is, the outcomes must not be lost
                metrics.DATABASE_ERRORS.labels("finish").inc()
                if _blames_an_outcome(error):
                    await self._narrow(batch, error)
                    return
                unknown = unknown or isinstance(error, DatabaseUnavailable)
                backoff.log(log, f"{len(batch)} outcomes wait for the database", error)
                await backoff.pause()
            else:
                self._settle(batch, recorded)
                return

    async def _recorded_before(self, batch: Sequence[Ending], recorded: set[Lease]) -> set[Lease]:
        """Return the leases that an earlier flush recorded, whose answer never came."""
        missing = [run.task.lease for run, _ in batch if run.task.lease not in recorded]
        created = [run.task.created_at for run, _ in batch if run.task.created_at is not None]
        if not (missing and created):
            return set()
        return await self._leases.recorded(missing, since=min(created))

    async def _narrow(self, batch: list[Ending], error: Exception) -> None:
        """One outcome that cannot be stored must not hold up the others: halve the batch."""
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._flush(batch[:middle])
            await self._flush(batch[middle:])
            return
        run, finish = batch[0]
        log.error("an outcome cannot be stored: %s", error, extra=run.described())
        if finish.outcome is Outcome.FAILED and finish.result is None:
            self._ledger.drop([run])  # not even that it failed: its lease will expire
            return
        unstorable = Unstorable(f"the outcome cannot be stored: {error}")
        failed = fail(run.task, unstorable, seconds=finish.run_seconds)
        await self._flush([(run, failed)])

    def _settle(self, batch: Sequence[Ending], recorded: set[Lease]) -> None:
        self._ledger.drop(run for run, _ in batch)
        metrics.RECORDED.observe(len(recorded))
        ends = [end for end in batch if end[1].lease in recorded]
        for run, finish in batch if len(ends) < len(batch) else ():
            if finish.lease not in recorded:
                metrics.LEASES_LOST.inc()
                log.warning("the lease was lost: nothing recorded", extra=run.described())
        self._chronicle.tell(ends, self._count(ends))

    def _count(self, ends: Sequence[Ending]) -> Counter[Outcome]:
        """Count `ends`, tell who waits for such, and return how many there are of each outcome."""
        outcomes: Counter[Outcome] = Counter()
        kinds = Counter(
            (run.task.type, finish.outcome, run.task.queue_id, run.task.queue)
            for run, finish in ends
        )
        for (kind, outcome, queue_id, queue), count in kinds.items():
            metrics.ATTEMPTS.labels(metrics.type_label(kind), outcome.value).inc(count)
            outcomes[outcome] += count
            if self._telling.limited(queue_id):
                self._telling.freed(queue)
            elif outcome is Outcome.RELEASED:
                self._telling.released(queue)
        return outcomes


def _blames_an_outcome(error: Exception) -> bool:
    """Whether a value cannot be stored (by our JSON encoder, or SQLSTATE class 22)."""
    return isinstance(error, ValueError | TypeError) or str(
        getattr(error, "sqlstate", "")
    ).startswith("22")
