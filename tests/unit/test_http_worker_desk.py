"""Claims that wait at a queue's desk: who is asked, how often, and what if they leave."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.worker import claimed, eventually
from tidemill.errors import DatabaseUnavailable
from tidemill.models import ClaimedTask, WorkerIdentity
from tidemill_api.desk import Desk, Waiter

HOUR = 3600.0
NOBODY = WorkerIdentity(0, 0)
Ask = asyncio.Task[list[ClaimedTask]]


@dataclass
class Counter:
    """A claimer with tasks on a pile; it counts how often it is asked, and by whom."""

    pile: list[ClaimedTask] = field(default_factory=list[ClaimedTask])
    asked: list[int] = field(default_factory=list[int])
    error: Exception | None = None
    before: Callable[[], None] = lambda: None
    more: bool = False
    retry_in: float | None = None
    worker: WorkerIdentity = NOBODY
    lease_seconds: float = 30.0

    async def claim(self, limit: int) -> list[ClaimedTask]:
        self.asked.append(self.worker.id)
        await asyncio.sleep(0)
        self.before()
        if self.error:
            raise self.error
        taken, self.pile = self.pile[:limit], self.pile[limit:]
        self.more = len(taken) == limit
        return taken

    def hear(self, queue: str) -> None:
        assert queue


@dataclass
class Bench:
    """A desk with what it gave back and sent away."""

    claimer: Counter = field(default_factory=Counter)
    returned: list[ClaimedTask] = field(default_factory=list[ClaimedTask])
    strangers: list[ClaimedTask] = field(default_factory=list[ClaimedTask])
    waiters: list[Waiter] = field(default_factory=list[Waiter])
    asks: list[Ask] = field(default_factory=list[Any])

    def __post_init__(self) -> None:
        self.desk = Desk(
            self.claimer,
            poll_seconds=HOUR,
            strangers=self._strangers,
            give_back=self._give_back,
        )

    def ask(self, worker: int, wait: float = HOUR, **said: Any) -> Ask:
        waiter = Waiter(
            **{
                "worker": WorkerIdentity(worker, 1),
                "limit": 1,
                "lease_seconds": 30.0,
                "types": None,
                "until": time.monotonic() + wait,
                "gone": lambda: False,
                **said,
            }
        )
        self.waiters.append(waiter)
        self.asks.append(asyncio.ensure_future(self.desk.ask(waiter)))
        return self.asks[-1]

    async def tried(self, count: int) -> None:
        await eventually(lambda: len(self.claimer.asked) >= count)

    async def close(self) -> None:
        self.desk.close()
        await self.desk.closed()
        assert self.desk.idle
        await asyncio.gather(*self.asks, return_exceptions=True)

    async def _give_back(self, tasks: Sequence[ClaimedTask]) -> None:
        self.returned += tasks

    async def _strangers(self, tasks: Sequence[ClaimedTask]) -> None:
        self.strangers += tasks


async def test_a_hint_of_nothing_costs_a_hundred_who_wait_one_claim() -> None:
    bench = Bench()
    for worker in range(100):
        bench.ask(worker)
    await bench.tried(100)
    bench.desk.hear("q")
    await bench.tried(101)
    assert await bench.ask(500, wait=0) == []
    assert len(bench.claimer.asked) == 102
    await bench.close()
    assert [await each for each in bench.asks] == [[]] * 101


async def test_tasks_go_to_those_who_have_waited_longest_one_claim_each() -> None:
    bench = Bench()
    first, second, third = (bench.ask(worker) for worker in (1, 2, 3))
    await bench.tried(3)
    bench.claimer.pile = [claimed(), claimed()]
    bench.desk.hear("q")
    assert [len(await first), len(await second)] == [1, 1]
    await bench.tried(6)  # the third found nothing, and waits on
    assert bench.claimer.asked[3:] == [1, 2, 3]
    assert not third.done()
    await bench.close()


async def test_what_was_claimed_for_who_has_gone_goes_back_and_the_next_is_asked() -> None:
    bench, gone = Bench(), False
    leaving = bench.ask(1, gone=lambda: gone)
    staying = bench.ask(2)
    await bench.tried(2)
    tasks = bench.claimer.pile = [claimed(), claimed()]

    def leave() -> None:
        nonlocal gone
        gone = True

    bench.claimer.before = leave
    bench.desk.hear("q")
    assert await staying == tasks[1:]
    assert await leaving == []
    assert bench.returned == tasks[:1]
    await bench.close()


async def test_who_has_gone_before_is_not_claimed_for() -> None:
    bench, gone = Bench(), False
    bench.ask(1, gone=lambda: gone)
    cancelled, staying = bench.ask(2), bench.ask(3)
    await bench.tried(3)
    gone = True
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    bench.claimer.pile = [claimed()]
    bench.desk.hear("q")
    assert len(await staying) == 1
    assert bench.claimer.asked[3:] == [3]
    assert bench.returned == []
    await bench.close()


async def test_who_leaves_in_the_very_moment_of_the_answer_leaves_no_task_behind() -> None:
    bench = Bench()
    asking = bench.ask(1)
    await bench.tried(1)
    tasks = bench.claimer.pile = [claimed()]
    bench.desk.hear("q")
    while not bench.waiters[0].answer.done():  # noqa: ASYNC110 - one turn of the loop at a time
        await asyncio.sleep(0)
    asking.cancel()  # answered, and not yet told
    with pytest.raises(asyncio.CancelledError):
        await asking
    await bench.close()
    assert bench.returned == tasks


async def test_tasks_of_other_types_are_sent_away_and_the_next_is_asked_first() -> None:
    bench = Bench()
    bench.claimer.pile = [claimed("other"), claimed("mine")]
    picky = bench.ask(1, types=frozenset({"mine"}))
    assert [task.type for task in await picky] == ["mine"]
    assert [task.type for task in bench.strangers] == ["other"]
    await bench.close()


async def test_an_error_is_everybody_s_and_the_next_ask_is_a_new_one() -> None:
    bench = Bench()
    waiting = bench.ask(1)
    await bench.tried(1)
    bench.claimer.error = DatabaseUnavailable("away")
    failing = bench.ask(2)
    for each in (waiting, failing):
        with pytest.raises(DatabaseUnavailable):
            await each
    bench.claimer.error, bench.claimer.pile = None, [claimed()]
    assert len(await bench.ask(3)) == 1
    await bench.close()
