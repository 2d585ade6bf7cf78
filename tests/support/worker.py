"""Claimed tasks, apps and workers for tests of the worker."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from tidemill.app import App
from tidemill.models import ClaimedTask, Finish, Lease, Task
from tidemill.retry import RetryPolicy
from tidemill.store import Store
from tidemill.store.strangers import Returns
from tidemill_worker.executor import Surroundings
from tidemill_worker.ledger import Ledger
from tidemill_worker.run import Run
from tidemill_worker.slots import Slots
from tidemill_worker.strangers import Strangers

_tokens = itertools.count(1)


def claimed(kind: str = "task", **changes: Any) -> ClaimedTask:
    """Return a claimed task of type `kind`, as it comes out of a fresh queue."""
    task = ClaimedTask(
        lease=Lease(uuid4(), next(_tokens)),
        has_body=True,
        expired=False,
        type=kind,
        name=None,
        queue="default",
        queue_id=1,
        priority=0,
        seq=1,
        lane=1,
        payload={},
        headers=None,
        retry_count=0,
        crash_count=0,
        max_retries=3,
        timeout_seconds=300.0,
        lease_seconds=30.0,
        retry=RetryPolicy(),
        created_at=None,
        expires_at=None,
    )
    return replace(task, **changes)


def run_of(task: ClaimedTask) -> Run:
    """Return a run with a fresh lease."""
    now = time.monotonic()
    return Run(task, now, now + task.lease_seconds)


@dataclass
class Bench:
    """Slots on a bench: what they record and lose is kept in lists."""

    app: App
    concurrency: int = 2
    finishes: list[Finish] = field(default_factory=list[Finish])
    lost: list[Run] = field(default_factory=list[Run])
    returned: Returns = field(default_factory=Returns)

    def __post_init__(self) -> None:
        self.ledger = Ledger()
        self.surroundings = Surroundings.of(self.app, self.ledger)
        self.slots = Slots(
            self.app.tasks,
            concurrency=self.concurrency,
            record=lambda _, finish: self.finishes.append(finish),
            lose=self.lost.append,
            unknown=Strangers(self.returns).end,
            surroundings=self.surroundings,
        )

    async def returns(self, ids: Sequence[UUID], since: datetime) -> dict[UUID, Returns]:
        assert since is not None
        return {each: self.returned for each in ids if self.returned.times}

    async def run(self, kind: str = "task", **changes: Any) -> Finish:
        """Run one task to its end and return what was recorded."""
        self.slots.offer([run_of(claimed(kind, **changes))])
        await eventually(lambda: bool(self.finishes))
        return self.finishes.pop()


async def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return once `condition` holds; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions of any kind, not one event
            await asyncio.sleep(0.005)


async def eventually_async(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Return once `condition` says so; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - conditions of any kind, not one event
            await asyncio.sleep(0.02)


async def finished(store: Store, task_id: UUID, seconds: float = 60.0) -> Task:
    """Return the task once it has reached a final state."""
    async with asyncio.timeout(seconds):
        while True:
            task = await store.tasks.get(task_id)
            assert task is not None
            if task.status.final:
                return task
            await asyncio.sleep(0.02)
