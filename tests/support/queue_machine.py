"""Random acts of producers, workers and maintenance on a queue, against tests/support/model.

The acts of people, and the test, are in tests/postgres/test_store_machine.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support import ledger, postgres, storage
from tests.support.model import MAX_CRASHES, Model, Modelled
from tidemill.db import Database
from tidemill.models import ClaimedTask, NewTask, TaskType, WorkerIdentity
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer

T = TypeVar("T")

QUEUES: Final = ("a", "b", "c")
TYPES: Final = ("t", "u")
PLANS: Final = ((None, QUEUES), (None, ("a",)), (QUEUES, ("b", "a", "a")))
"""Which queues each of the three workers may take; the first takes them all."""

REPORTED: Final = (
    Outcome.SUCCEEDED,
    Outcome.RETRY,
    Outcome.FAILED,
    Outcome.CANCELLED,
    Outcome.SNOOZED,
    Outcome.RELEASED,
)
_LIVE: Final = """
SELECT task_id, priority, retry_count, crash_count, lane = 0 AS returned FROM tidemill.ready
UNION ALL
SELECT task_id, priority, retry_count, crash_count, NULL FROM tidemill.scheduled
UNION ALL
SELECT task_id, priority, retry_count, crash_count, NULL FROM tidemill.leases
"""
_TABLES: Final = (
    "ready",
    "scheduled",
    "leases",
    "dead_letters",
    "tasks",
    "attempts",
    "idempotency_keys",
    "throughput",
    "throughput_deltas",
    "queue_limits",
    "queues",
    "workers",
    "task_types",
)

queues = st.sampled_from(QUEUES)
kinds = st.sampled_from(TYPES)
workers = st.integers(0, 2)
places = st.sets(st.integers(0, 7), min_size=1, max_size=4).map(sorted)
chosen = st.one_of(places, st.just(list(range(100))))
limits = st.integers(1, 6)
tasks = st.fixed_dictionaries(
    {"type": kinds, "queue": queues, "max_retries": st.sampled_from([0, 3])},
    optional={
        "priority": st.just(9),
        "delay_seconds": st.just(3600.0),
        "idempotency_key": st.just("k"),
    },
)


def there_are(*statuses: str) -> Callable[[Any], bool]:
    """Say when a rule is worth a step: while a task has one of these statuses."""
    return lambda self: any(task.status in statuses for task in self.model.tasks.values())


@dataclass
class Held:
    """A worker, what it believes to hold, and its claimer."""

    identity: WorkerIdentity
    claimer: Claimer
    tasks: list[ClaimedTask] = field(default_factory=list[ClaimedTask])


class World:
    """A database for one script after the other, and the loop that all of them run on."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self.db = Database.of(postgres.settings_of(url), application="tests")
        self.store = Store.of(self.db)

    def close(self) -> None:
        try:
            self.run(self.db.close())
        finally:
            self._runner.close()

    def run(self, act: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await act

        return self._runner.run(awaited())

    def clear(self) -> None:
        """Forget everything: much faster than another database."""
        gone = "; ".join(f"DELETE FROM tidemill.{table}" for table in _TABLES)  # noqa: S608 - ours
        self.run(self.db.execute(gone))


class Machine(RuleBasedStateMachine):
    """The acts. `world` is set by the test; `places` stand for the newest tasks, say."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.workers: list[Held] = []
        self.forgotten: Counter[str] = Counter()
        self.known: list[UUID] = []
        self.db, self.store, self.run = self.world.db, self.world.store, self.world.run
        self.world.clear()

    def pick(self, places: Sequence[int], of: Sequence[T]) -> list[T]:
        return [of[place] for place in places if place < len(of)]

    def recent(self, places: Sequence[int]) -> list[UUID]:
        return self.pick(places, self.known[::-1])

    @initialize(
        plans=st.tuples(*(st.tuples(st.sampled_from(each), st.booleans()) for each in PLANS)),
        first=st.lists(tasks, min_size=2, max_size=6),
    )
    def begin(
        self,
        plans: tuple[tuple[Sequence[str] | None, bool], ...],
        first: list[dict[str, Any]],
    ) -> None:
        self.run(self.store.types.register([TaskType(name=name) for name in TYPES], app="a:b"))
        for names, strict in plans:
            identity = self.run(storage.worker(self.store))
            claimer = Claimer(self.store, identity, queues=names, lease_seconds=600, strict=strict)
            self.workers.append(Held(identity, claimer))
        for task in first:
            self.enqueue(1, task)

    @invariant()
    def every_task_is_in_its_one_place_and_the_books_balance(self) -> None:
        if self.workers:
            found = self.run(ledger.places(self.store, self.forgotten))
            assert found == self.model.statuses()
            live = {row["task_id"]: tuple(row)[1:] for row in self.run(self.db.fetch(_LIVE))}
            assert live == {each: self.model.tasks[each].row() for each in self.model.live()}

    # producers

    @rule(count=st.sampled_from([1, 2, 8]), task=tasks)
    def enqueue_equal_ones(self, count: int, task: dict[str, Any]) -> None:
        self.enqueue(count, task)

    def enqueue(self, count: int, task: dict[str, Any]) -> None:
        new = NewTask(**task)
        if new.idempotency_key:
            new.idempotency_key += new.type  # with another type it would be a conflict
        status = "scheduled" if new.delay_seconds else "queued"
        for made in self.run(self.store.tasks.enqueue([new] * count)):
            modelled = Modelled(
                type=new.type,
                queue=made.queue,
                status=status,
                priority=made.priority,
                max_retries=made.max_retries,
                key=new.idempotency_key,
                was_ready=status == "queued",
            )
            self.model.enqueue(modelled, made.id, created=made.created)
            if made.created:
                self.known.append(made.id)

    # workers

    @precondition(there_are("queued"))
    @rule(worker=workers, limit=limits, free=st.sampled_from([None, 0, 1]), hint=st.booleans())
    def claim(self, worker: int, limit: int, free: int | None, hint: bool) -> None:
        held = self.workers[worker]
        if hint:
            held.claimer.hear("")
        claimed = self.run(held.claimer.claim(limit, free=free))
        assert len(claimed) <= limit
        for task in claimed:
            assert task.type not in self.model.paused_types
            self.model.claim(held.identity.id, task.lease)
        held.tasks += claimed
        for task_id in self.parked():
            if self.model.tasks[task_id].status == "queued":
                self.model.park(task_id)

    @precondition(there_are("queued"))
    @rule()
    def all_claim(self) -> None:
        for worker in range(len(self.workers)):
            self.claim(worker, 100, free=None, hint=True)

    def parked(self) -> dict[UUID, str]:
        """Return the tasks that wait for their type to be resumed, with their types."""
        rows = self.run(self.db.fetch("SELECT task_id, parked FROM tidemill.scheduled"))
        return {row["task_id"]: row["parked"] for row in rows if row["parked"] is not None}

    @precondition(there_are("queued"))
    @rule(worker=workers, queue=queues, limit=limits)
    def claim_one_queue_whole(self, worker: int, queue: str, limit: int) -> None:
        if queue not in self.model.queues:
            return
        held, state = self.workers[worker], self.model.queue(queue)
        bounded = state.tokens is not None or state.max_running is not None
        expected = [] if bounded else self.model.next_of(queue, limit)
        claimed = self.run(storage.claim(self.store, held.identity, limit, queues=[queue]))
        assert [(task.priority, task.lane == 0) for task in claimed] == expected
        for task in claimed:
            self.model.claim(held.identity.id, task.lease)
        held.tasks += claimed

    @precondition(there_are("running"))
    @rule(places=chosen, outcome=st.sampled_from(REPORTED))
    def finish(self, places: list[int], outcome: Outcome) -> None:
        """Workers report ends in one batch, of tasks that they may have lost meanwhile."""
        ending = self.pick(places, [task for held in self.workers for task in held.tasks])
        for held in self.workers:
            held.tasks = [task for task in held.tasks if task not in ending]
        ends = storage.ends(ending, outcome, run_seconds=0.01, delay_seconds=3600)
        recorded = self.run(self.store.leases.finish(ends))
        assert recorded == {task.lease for task in ending if self.model.finish(task.lease, outcome)}

    @precondition(there_are("running"))
    @rule(worker=workers)
    def beat(self, worker: int) -> None:
        leases = [task.lease for task in self.workers[worker].tasks]
        for answer in self.run(self.store.leases.extend(leases, 600)):
            assert answer.held == self.model.is_current(answer.lease)
            asked = answer.held and self.model.tasks[answer.lease.task_id].cancel_requested
            assert answer.cancel_requested == asked

    @precondition(there_are("running"))
    @rule(worker=workers, places=places)
    def lose_an_answer(self, worker: int, places: list[int]) -> None:
        """The worker gives back what it does not know of, under a new epoch."""
        held = self.workers[worker]
        held.tasks = self.pick(places, held.tasks)
        held.identity = held.claimer.worker = self.run(self.store.workers.bump_epoch(held.identity))
        keep = [task.lease for task in held.tasks]
        released = self.run(self.store.workers.release_unknown(held.identity, keep))
        assert set(released) == self.model.release_unknown(held.identity.id, keep)

    # maintenance

    @precondition(there_are("running"))
    @rule(places=chosen)
    def leases_run_out(self, places: list[int]) -> None:
        running = [each for each, task in self.model.tasks.items() if task.status == "running"]
        if unlucky := self.pick(places, running):
            self.run(storage.expire_leases(self.db, *unlucky))
        recovered = self.run(self.store.upkeep.recover(100, MAX_CRASHES))
        became: Counter[str] = Counter()
        for (_, outcome), count in recovered.items():
            became[outcome] += count
        assert became == self.model.recover(unlucky)

    @precondition(there_are("scheduled"))
    @rule(limit=limits)
    def time_passes(self, limit: int) -> None:
        """All that was scheduled is due; parked tasks are tried again as well."""
        self.run(storage.make_due(self.db))
        before = {each for each, task in self.model.tasks.items() if task.status == "scheduled"}
        promoted = self.run(self.store.upkeep.promote(limit)).total()
        rows = self.run(self.db.fetch("SELECT task_id FROM tidemill.scheduled"))
        gone = before - {row["task_id"] for row in rows}
        assert len(gone) == promoted == min(limit, len(before))
        for task_id in gone:
            self.model.promote(task_id)

    @rule(limit=st.integers(1, 30))
    def fold(self, limit: int) -> None:
        self.run(self.store.upkeep.fold(limit))
