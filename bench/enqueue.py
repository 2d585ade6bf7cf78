"""Enqueueing into an empty queue."""

import asyncio
from collections.abc import Sequence

from bench import noop, pgbench, scripts
from bench.case import BenchError, Case
from bench.drain import whole
from bench.measure import Sample
from bench.scripts import QUEUE
from bench.target import Target
from tidemill.models import NewTask
from tidemill.notify import Hints
from tidemill.store import Store
from tidemill_api.enqueue import Enqueuer
from tidemill_api.metrics import ApiMetrics

ASKERS = 256
"""Concurrent requests of the API's case."""


class ScriptEnqueue(Case):
    """Calls by pgbench: the limit, and the SQL functions."""

    def __init__(
        self, name: str, meaning: str, script: scripts.Script, *, connections: int
    ) -> None:
        """Call `script` on so many connections; single tasks cost a commit each: do fewer."""
        self.name, self.meaning = name, meaning
        self.share = 0.05 if script.batch == 1 else 1.0
        self._script, self._batch, self._connections = script, script.batch, connections

    async def run(self, target: Target, tasks: int) -> Sample:
        """Enqueue with pgbench."""
        tasks = whole(tasks, self._batch * self._connections)
        await target.empty()
        async with target.counted(tasks) as sample:
            await pgbench.run(
                target,
                sample,
                self._script,
                connections=self._connections,
                transactions=tasks // self._batch,
            )
        await _check(target, tasks)
        return sample


class BatchEnqueue(Case):
    """`TaskStore.enqueue`, one batch after the other on one connection."""

    def __init__(self, batch: int) -> None:
        """Enqueue `batch` tasks a call."""
        self.name = f"store, {batch} at a time"
        self.meaning = "TaskStore.enqueue in one process, one connection"
        self._batch = batch

    async def run(self, target: Target, tasks: int) -> Sample:
        """Enqueue through the store."""
        tasks = whole(tasks, self._batch)
        await target.empty()
        async with target.counted(tasks) as sample, target.client() as db:
            store = Store.of(db)
            with target.timed(sample):
                for _ in range(tasks // self._batch):
                    await store.tasks.enqueue([task() for _ in range(self._batch)])
        await _check(target, tasks)
        return sample


class ApiEnqueue(Case):
    """Single tasks as the API's handlers enqueue them: concurrent ones share an insert."""

    def __init__(self, askers: int) -> None:
        """Keep so many requests going."""
        self.name = f"API's path, {askers} at once"
        self.meaning = f"single tasks through the API's Enqueuer, {askers} concurrent, without HTTP"
        self._askers = askers

    async def run(self, target: Target, tasks: int) -> Sample:
        """Enqueue single tasks from many askers."""
        tasks = whole(tasks, self._askers)
        await target.empty()
        async with target.counted(tasks) as sample, target.client() as db, Hints(db) as hints:
            enqueuer = Enqueuer(Store.of(db).tasks, hints, ApiMetrics(), target.settings)
            each = tasks // self._askers
            with target.timed(sample):
                await asyncio.gather(*(_ask(enqueuer, each) for _ in range(self._askers)))
        await _check(target, tasks)
        return sample


def limits(batches: Sequence[int], connections: Sequence[int]) -> list[Case]:
    """Return the settings of which the best is the limit."""
    return [
        ScriptEnqueue(
            f"SQL, {many} x {batch}",
            f"enqueue.sql by pgbench, {batch} tasks, {many} connections",
            scripts.enqueue_script(batch),
            connections=many,
        )
        for many in connections
        for batch in batches
    ]


def cases() -> list[Case]:
    """Return Tidemill's ways of enqueueing."""
    return [
        BatchEnqueue(1000),
        ApiEnqueue(ASKERS),
        ScriptEnqueue(
            "tidemill.enqueue_many, 1000",
            "the SQL function by pgbench, 1000 tasks a call, 2 connections",
            scripts.function_script(1000),
            connections=2,
        ),
        ScriptEnqueue(
            "tidemill.enqueue, one",
            "the SQL function by pgbench, one task a transaction, 4 connections",
            scripts.function_script(1),
            connections=4,
        ),
    ]


def task() -> NewTask:
    """Return a task that does nothing."""
    return NewTask(type=noop.TYPE, payload=noop.PAYLOAD, queue=QUEUE)


async def _ask(enqueuer: Enqueuer, count: int) -> None:
    for _ in range(count):
        await enqueuer.one(task())


async def _check(target: Target, tasks: int) -> None:
    ready = await target.number("SELECT count(*) FROM tidemill.ready")
    bodies = await target.number("SELECT count(*) FROM tidemill.tasks")
    if not ready == bodies == tasks:
        raise BenchError(f"{tasks} tasks must be queued (found {ready} rows, {bodies} bodies)")
