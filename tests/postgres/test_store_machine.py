"""Random acts on a whole queue, against a small model, with the books checked after every step.

Producers, workers, maintenance (tests/support/queue_machine) and people act in any order; time
passes by moving rows' times. A failure shrinks to a short script of acts, which is printed.
TIDEMILL_TEST_MACHINE=n runs n scripts of twice the length, other ones each time.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.support import ledger, storage
from tests.support.queue_machine import (
    TYPES,
    Machine,
    World,
    chosen,
    kinds,
    places,
    queues,
    there_are,
)
from tidemill.acts import Act, TaskFilter, Verdict
from tidemill.states import Outcome, Status
from tidemill.store import claimer

FEW, MANY = 40, int(os.environ.get("TIDEMILL_TEST_MACHINE", "0"))
MUCH = 15
FOREVER = 1e9  # seconds: a rate that brings nothing while a test runs

priorities = st.sampled_from([-5, 0, 9])


class Whole(Machine):
    """The acts of people as well."""

    def judged(
        self, ids: list[UUID], said: Mapping[UUID, Act], model: Callable[[UUID], Verdict]
    ) -> None:
        """Compare what an act said of tasks with what the model says, and with where they are."""
        expected = {each: model(each) for each in sorted(ids, key=lambda each: each.bytes)}
        assert {each: act.verdict for each, act in said.items()} == expected
        for task_id, act in said.items():
            if (task := self.model.tasks.get(task_id)) is not None:
                assert (act.status, act.queue) == (task.status, task.queue)

    @precondition(there_are("queued", "scheduled", "running"))
    @rule(places=places)
    def cancel(self, places: list[int]) -> None:
        ids = self.recent(places)
        self.judged(ids, self.run(self.store.acts.cancel(ids)), self.model.cancel)

    @precondition(there_are("failed", "scheduled"))
    @rule(places=chosen)
    def retry(self, places: list[int]) -> None:
        ids = self.recent(places)
        self.judged(ids, self.run(self.store.acts.retry(ids, actor="me")), self.model.retry)

    @rule(places=places)
    def delete(self, places: list[int]) -> None:
        ids = self.recent(places)
        self.note_history_of(ids)
        self.judged(ids, self.run(self.store.acts.delete(ids)), self.model.delete)

    def note_history_of(self, ids: list[UUID]) -> None:
        """Remember what the history that is about to go had counted up to."""
        tasks = self.model.tasks
        going = [each for each in ids if each in tasks and tasks[each].status != "running"]
        self.forgotten += self.run(ledger.flows(self.db, going))

    @precondition(there_are("queued", "scheduled"))
    @rule(places=places, priority=priorities)
    def reprioritise(self, places: list[int], priority: int) -> None:
        ids = self.recent(places)
        said = self.run(self.store.acts.reprioritise(ids, priority))
        self.judged(ids, said, lambda each: self.model.reprioritise(each, priority))

    @precondition(there_are("queued", "scheduled"))
    @rule(places=places, queue=queues)
    def move(self, places: list[int], queue: str) -> None:
        ids = self.recent(places)
        said = self.run(self.store.acts.move(ids, queue))
        if ids:
            self.judged(ids, said, lambda each: self.model.move(each, queue))

    @precondition(there_are("failed", "scheduled"))
    @rule(queue=queues, act=st.sampled_from(["cancel", "retry", "delete"]))
    def act_on_a_whole_queue(self, queue: str, act: str) -> None:
        found = {
            "cancel": (Status.QUEUED, Status.SCHEDULED, Status.RUNNING),
            "retry": (Status.SCHEDULED, Status.FAILED),
            "delete": (Status.QUEUED, Status.SCHEDULED, Status.FAILED),
        }[act]
        ids = [
            each
            for each, task in sorted(self.model.tasks.items())
            if task.queue == queue and task.status in found
        ]
        if act == "delete":
            self.note_history_of(ids)
        bulk = self.run(getattr(self.store.bulk, act)(TaskFilter(queue=queue)))
        verdicts = Counter(getattr(self.model, act)(each) for each in ids)
        assert (bulk.matched, bulk.changed) == (len(ids), verdicts[Verdict.DONE])
        assert (bulk.requested, bulk.key_taken) == (
            verdicts[Verdict.REQUESTED],
            verdicts[Verdict.KEY_TAKEN],
        )
        assert (bulk.refused, bulk.missing, bulk.next) == (0, 0, None)

    @rule(queue=queues, paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        if queue in self.model.queues:
            change = self.store.queues.pause if paused else self.store.queues.resume
            self.run(change(queue))
            self.model.queue(queue).paused = paused

    @rule(queue=queues, brakes=st.sampled_from([(1, None), (3, None), (None, 2), (2, 4)]))
    def brake(self, queue: str, brakes: tuple[int | None, int | None]) -> None:
        self.limit(queue, *brakes)

    @rule(queue=queues)
    def brake_no_more(self, queue: str) -> None:
        self.limit(queue, None, None)

    def limit(self, queue: str, max_running: int | None, rate: int | None) -> None:
        changes: dict[str, Any] = {
            "max_running": max_running,
            "rate_tasks": rate,
            "rate_seconds": rate and FOREVER,
        }
        self.run(self.store.queues.put(queue, changes))
        state = self.model.queue(queue)
        state.max_running, state.tokens = max_running, rate

    @rule(kind=kinds, paused=st.booleans())
    def pause_type(self, kind: str, paused: bool) -> None:
        if paused:
            self.run(self.store.types.pause(kind))
            self.model.paused_types.add(kind)
            return
        waiting = self.parked()
        self.run(self.store.types.resume(kind))
        self.model.paused_types.discard(kind)
        for task_id, name in waiting.items():
            if name == kind:
                self.model.promote(task_id)

    @precondition(lambda self: len(self.model.live()) > MUCH)
    @rule()
    def drain(self) -> None:
        """With all brakes off, workers bring every task to its end, whatever was before."""
        for queue in self.model.queues:
            self.limit(queue, None, None)
            self.pause(queue, paused=False)
        for kind in TYPES:
            self.pause_type(kind, paused=False)
        try:
            self.run(self._drained())
        except TimeoutError:
            raise AssertionError(f"never claimed: {self.model.live()}") from None

    async def _drained(self) -> None:
        async with storage.patience():
            while self.model.live():
                await self._promote_all()
                for held in self.workers:
                    held.claimer.hear("")
                    for task in await held.claimer.claim(100):
                        self.model.claim(held.identity.id, task.lease)
                        held.tasks.append(task)
                    ends = storage.ends(held.tasks, Outcome.SUCCEEDED)
                    for lease in await self.store.leases.finish(ends):
                        assert self.model.finish(lease, Outcome.SUCCEEDED)
                    held.tasks.clear()

    async def _promote_all(self) -> None:
        await storage.make_due(self.db)
        await self.store.upkeep.promote(1000)
        for task_id, task in self.model.tasks.items():
            if task.status == "scheduled":
                self.model.promote(task_id)


@pytest.mark.timeout(600 + 5 * MANY)  # it takes some 20 s; a failure is made shorter for minutes
def test_any_script_of_acts_leaves_every_task_in_one_place_and_the_books_balanced(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database_url)
    monkeypatch.setattr(Machine, "world", world, raising=False)
    monkeypatch.setattr(claimer, "QUEUES_SECONDS", 0.0)  # limits hold for the very next claim
    try:
        run_state_machine_as_test(
            Whole,
            settings=settings(
                max_examples=MANY or FEW,
                stateful_step_count=80 if MANY else 40,
                derandomize=not MANY,
                database=None,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                print_blob=False,
            ),
        )
    finally:
        world.close()
