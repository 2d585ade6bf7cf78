"""Random runs over the whole life of tasks: the books balance, and a model agrees, at every end.

One random seed gives a sequence of acts by several workers; time passes by moving rows' times.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import ledger, postgres, storage
from tests.support.postgres import Server
from tidemill.db import Database
from tidemill.models import ClaimedTask, Lease, NewTask, WorkerIdentity
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer

if TYPE_CHECKING:
    from uuid import UUID

REPORTED = [each for each in Outcome if each is not Outcome.LEASE_EXPIRED]
QUEUES = ["a", "b"]
MAX_CRASHES = 2


@dataclass
class Held:
    """A worker, what it believes to hold, and its claimer."""

    identity: WorkerIdentity
    claimer: Claimer
    tasks: list[ClaimedTask] = field(default_factory=list)


class Run:
    """The acts, and a model: which token is current for each running task."""

    def __init__(self, store: Store, choice: random.Random) -> None:
        self.store = store
        self.choice = choice
        self.workers: list[Held] = []
        self.current: dict[UUID, int] = {}
        self.ended: set[UUID] = set()

    async def join(self) -> None:
        identity = await storage.worker(self.store)
        queues = self.choice.choice([None, QUEUES, ["a"]])
        claimer = Claimer(self.store, identity, queues=queues, lease_seconds=600)
        self.workers.append(Held(identity, claimer))

    async def enqueue(self) -> None:
        tasks = [self._task() for _ in range(self.choice.randint(1, 12))]
        await self.store.tasks.enqueue(tasks)

    def _task(self) -> NewTask:
        return NewTask(
            type="t",
            queue=self.choice.choice(QUEUES),
            priority=self.choice.choice([0, 0, 7]),
            delay_seconds=self.choice.choice([None, None, 60.0]),
            max_retries=self.choice.randint(0, 2),
            idempotency_key=self.choice.choice([None, "k", "l"]),
        )

    async def claim(self) -> None:
        worker = self.choice.choice(self.workers)
        worker.claimer.hear("")
        for task in await worker.claimer.claim(self.choice.randint(1, 8)):
            assert task.id not in self.current
            assert task.id not in self.ended
            self.current[task.id] = task.lease.token
            worker.tasks.append(task)

    def _is_current(self, lease: Lease) -> bool:
        return self.current.get(lease.task_id) == lease.token

    async def finish(self) -> None:
        worker = self.choice.choice(self.workers)
        count = min(len(worker.tasks), self.choice.randint(1, 8))
        ending = [worker.tasks.pop(self.choice.randrange(len(worker.tasks))) for _ in range(count)]
        ends = [
            storage.ends(
                [task], self.choice.choice(REPORTED), run_seconds=0.01, delay_seconds=60.0
            )[0]
            for task in ending
        ]
        recorded = await self.store.leases.finish(ends)
        assert recorded == {each.lease for each in ends if self._is_current(each.lease)}
        for end in ends:
            if end.lease in recorded:
                del self.current[end.lease.task_id]
                if end.outcome.value in ledger.FINAL:
                    self.ended.add(end.lease.task_id)

    async def beat(self) -> None:
        worker = self.choice.choice(self.workers)
        for answer in await self.store.leases.extend([task.lease for task in worker.tasks], 600):
            assert answer.held == self._is_current(answer.lease)

    async def die(self) -> None:
        """Some leases run out: their worker is paused, and comes back with them later."""
        unlucky = [task for task in self.current if self.choice.random() < 0.4]
        if unlucky:
            await storage.expire_leases(self.store.db, *unlucky)
        assert (await self.store.upkeep.recover(1000, MAX_CRASHES)).total() == len(unlucky)
        for task_id in unlucky:
            del self.current[task_id]
            task = await self.store.tasks.get(task_id)
            assert task is not None
            if task.status.final:
                self.ended.add(task_id)

    async def forget(self) -> None:
        """A worker lost an answer: it gives back what it does not know of."""
        worker = self.choice.choice(self.workers)
        keep = [task for task in worker.tasks if self.choice.random() < 0.5]
        before = {task.id for task in worker.tasks if self._is_current(task.lease)}
        kept = {task.id for task in keep if self._is_current(task.lease)}
        released = await self.store.workers.release_unknown(
            worker.identity, [task.lease for task in keep]
        )
        assert set(released) == before - kept
        for task_id in released:
            del self.current[task_id]

    async def pass_time(self) -> None:
        await storage.make_due(self.store.db)
        await self.store.upkeep.promote(self.choice.randint(1, 30))

    async def fold(self) -> None:
        await self.store.upkeep.fold(self.choice.randint(1, 30))

    async def balance(self) -> None:
        counts = await ledger.balance(self.store)
        assert counts["running"] == len(self.current)
        assert sum(counts[status] for status in ledger.FINAL) == len(self.ended)

    async def drain(self) -> None:
        """In the end every task comes to an end."""
        while self.current:
            for worker in self.workers:
                ends = storage.ends(worker.tasks, Outcome.SUCCEEDED)
                for lease in await self.store.leases.finish(ends):
                    del self.current[lease.task_id]
                    self.ended.add(lease.task_id)
                worker.tasks.clear()
            await self._take_all()
        counts = await ledger.balance(self.store)
        assert sum(counts.values()) == len(self.ended)

    async def _take_all(self) -> None:
        await storage.make_due(self.store.db)
        await self.store.upkeep.promote(10_000)
        for task in await storage.claim(self.store, self.workers[0].identity, 10_000):
            self.current[task.id] = task.lease.token
            self.workers[0].tasks.append(task)


async def live(url: str, seed: int, acts: int) -> None:
    db = Database.of(postgres.settings_of(url), application="tests")
    try:
        run = Run(Store.of(db), random.Random(seed))
        for _ in range(3):
            await run.join()
        ways: list[Any] = [run.enqueue, run.claim, run.claim, run.finish, run.finish]
        ways += [run.beat, run.die, run.forget, run.pass_time, run.fold, run.balance]
        for _ in range(acts):
            await run.choice.choice(ways)()
        await run._take_all()
        await run.drain()
    finally:
        await db.close()


@given(seed=st.integers(0, 2**32), acts=st.integers(10, 60))
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_books_balance_after_any_life(server: Server, seed: int, acts: int) -> None:
    name = server.migrated()
    try:
        asyncio.run(live(server.url_of(name), seed, acts))
    finally:
        server.drop(name)
