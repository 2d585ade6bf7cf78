"""Idle latency: a task comes to a system with nothing to do; how soon does its handler start?"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bench import noop, pgbench, scripts
from bench.case import BenchError
from bench.drain import claims_for
from bench.findings import Finding, number, quantile
from bench.measure import Sample
from bench.scripts import QUEUE
from bench.server import Bed
from bench.subject import Say, Scale, Subject
from bench.target import Target
from bench.workers import working
from tidemill.db import Database
from tidemill.models import NewTask
from tidemill.notify import Hints
from tidemill.store import Store

COLUMNS = ("p50 ms", "p99 ms", "max ms", "WAL B/task", "stmts/task")
LEAST_GAP, MOST_GAP = 0.06, 0.26
"""Seconds between two tasks: longer than hints are held back, and in step with no poll."""
WAIT_SECONDS = 30.0


class Way(ABC):
    """One way for a task to come."""

    name: str
    meaning: str

    @abstractmethod
    async def enqueue(self, db: Database, hints: Hints) -> UUID:
        """Enqueue one task and return its id."""


class Client(Way):
    """As the Python client and the API do."""

    name = "worker, client's NOTIFY"
    meaning = "TaskStore.enqueue, then a hint, as client and API send it"

    async def enqueue(self, db: Database, hints: Hints) -> UUID:
        """Enqueue through the store and send a hint."""
        (made,) = await Store.of(db).tasks.enqueue([NewTask(type=noop.STAMP, queue=QUEUE)])
        hints.hint(QUEUE)
        return made.id


class Function(Way):
    """As a producer in SQL does: with the notification inside, or without any."""

    def __init__(self, *, notify: bool) -> None:
        """Without `notify` the worker finds the task when it polls."""
        self._notify = notify
        self.name = f"worker, {'NOTIFY in SQL' if notify else 'polling'}"
        self.meaning = f"tidemill.enqueue(..., notify => {str(notify).lower()})"

    async def enqueue(self, db: Database, hints: Hints) -> UUID:
        """Call the SQL function."""
        del hints
        made: UUID = await db.fetchval(
            "SELECT tidemill.enqueue($1, queue => $2, notify => $3)",
            noop.STAMP,
            QUEUE,
            self._notify,
        )
        return made


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one way."""

    name: str
    meaning: str
    milliseconds: list[float]
    sample: Sample

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "name": self.name,
            "meaning": self.meaning,
            "p50_ms": quantile(self.milliseconds, 0.5),
            "p99_ms": quantile(self.milliseconds, 0.99),
            "max_ms": max(self.milliseconds),
            "wal_bytes_per_task": self.sample.wal_bytes / self.sample.tasks,
            "statements_per_task": self.sample.statements / self.sample.tasks,
        }


class Latency(Subject):
    """Single tasks at random times, from the call of enqueue to the start of the handler."""

    name = "latency"
    ways: tuple[Way, ...] = (Client(), Function(notify=True), Function(notify=False))

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        async with bed.database() as target:
            await target.empty()
            seen = [await _limit(target, scale.samples)]
            for way in self.ways:
                seen.append(await arrivals(target, way, scale.samples))
                say(f"latency: {way.name}: p50 {quantile(seen[-1].milliseconds, 0.5):.1f} ms")
        return [_finding(seen, scale)]


async def arrivals(target: Target, way: Way, count: int) -> Seen:
    """Let `count` tasks come, one at a time, to a worker that waits for them."""
    await target.empty()
    sent: dict[UUID, int] = {}
    async with AsyncExitStack() as stack:
        sample = await stack.enter_async_context(target.counted(count))
        db = await stack.enter_async_context(target.client())
        hints = await stack.enter_async_context(Hints(db))
        await stack.enter_async_context(working(target, 1))
        await way.enqueue(db, hints)  # whoever starts has its own latency: connections, plans
        await _started(target, 1)
        for _ in range(count):
            await asyncio.sleep(random.uniform(LEAST_GAP, MOST_GAP))
            began = time.monotonic_ns()
            sent[await way.enqueue(db, hints)] = began
        started = await _started(target, 1 + count)
    found = [(started[task] - began) / 1e6 for task, began in sent.items()]
    return Seen(way.name, way.meaning, found, sample)


async def _started(target: Target, count: int) -> dict[UUID, int]:
    """Return when each handler started, once so many tasks have ended."""
    ends = time.monotonic() + WAIT_SECONDS
    while (await target.ended())[0] < count:
        if time.monotonic() > ends:
            raise BenchError(f"{count} tasks were not done within {WAIT_SECONDS:g} s")
        await asyncio.sleep(0.1)
    rows = await target.ask("SELECT task_id, result::text FROM tidemill.attempts")
    return {UUID(str(task)): int(str(result)) for task, result in rows}


async def _limit(target: Target, count: int) -> Seen:
    claims = await claims_for(target, 1)
    async with target.counted(count) as sample:
        found = await pgbench.latencies(target, scripts.arrival_script(claims), count)
    meaning = "enqueue.sql and then claim.sql by pgbench, on one connection"
    return Seen("SQL, enqueue and claim", meaning, found, sample)


def _finding(seen: list[Seen], scale: Scale) -> Finding:
    return Finding(
        name="latency",
        title=f"{scale.samples} single tasks to an idle system, from enqueue to handler",
        columns=COLUMNS,
        rows=[_row(each) for each in seen],
        figures={"cases": [each.to_json() for each in seen]},
        notes=["WAL and statements include what an idle worker does meanwhile"],
    )


def _row(seen: Seen) -> list[str]:
    found = seen.to_json()
    times = [number(found[each], 2) for each in ("p50_ms", "p99_ms", "max_ms")]
    used = [number(found["wal_bytes_per_task"], 0), number(found["statements_per_task"])]
    return [seen.name, *times, *used]
