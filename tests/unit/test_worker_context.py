"""What a handler tells and asks through its Context, up to what the heart hears of it."""

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.worker import Bench, claimed, eventually, run_of
from tidemill import App, Context
from tidemill.models import Lease
from tidemill.sdk.context import Stopped, StopReason
from tidemill.states import Outcome
from tidemill_worker import links as links_module
from tidemill_worker.ledger import Ledger
from tidemill_worker.links import TEXT_CHARACTERS, Links
from tidemill_worker.run import Run


class Written:
    """In place of the lease store."""

    def __init__(self) -> None:
        self.batches: list[dict[Lease, str]] = []
        self.error: Exception | None = None

    async def progress(self, values: Mapping[Lease, str]) -> None:
        if self.error is not None:
            raise self.error
        self.batches.append(dict(values))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def links(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Links:
    monkeypatch.setattr(links_module, "WRITE_SECONDS", 0.0)
    return Links(ledger)


def held(ledger: Ledger) -> Run:
    run = run_of(claimed())
    ledger.add([run])
    return run


async def test_the_latest_progress_of_each_task_is_written_in_one_batch(
    ledger: Ledger, links: Links
) -> None:
    store, runs = Written(), [held(ledger) for _ in range(3)]
    for done in range(100):
        for run in runs[:2]:
            links.of(run.task).progress({"done": done})
    await links.write(store)
    await links.write(store)
    assert store.batches == [{run.task.lease: '{"done":99}' for run in runs[:2]}]


async def test_progress_of_a_task_that_is_over_is_not_written(ledger: Ledger, links: Links) -> None:
    store, run = Written(), held(ledger)
    links.of(run.task).progress({"done": 1})
    ledger.drop([run])
    await links.write(store)
    assert store.batches == [{}]


async def test_progress_that_could_not_be_written_is_written_later_unless_there_is_newer(
    ledger: Ledger, links: Links
) -> None:
    store, one, two = Written(), held(ledger), held(ledger)
    store.error = OSError("away")
    links.of(one.task).progress({"done": 1})
    links.of(two.task).progress({"done": 1})
    with pytest.raises(OSError, match="away"):
        await links.write(store)
    links.of(two.task).progress({"done": 2})
    store.error = None
    await links.write(store)
    assert store.batches == [{one.task.lease: '{"done":1}', two.task.lease: '{"done":2}'}]


async def test_progress_is_not_written_more_often_than_once_a_second(ledger: Ledger) -> None:
    store, links, run = Written(), Links(ledger), held(ledger)
    links.of(run.task).progress({"done": 1})
    await links.write(store)
    links.of(run.task).progress({"done": 2})
    links._written_at = time.monotonic()
    await links.write(store)
    assert len(store.batches) == 1


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"message": "x" * 10_000}, '{"message":"' + "x" * TEXT_CHARACTERS + '"}'),
        ({"done": float("nan")}, None),
        ({"message": "\ud800"}, None),
        ({"message": "a\0b"}, None),
    ],
)
async def test_progress_that_postgres_could_not_store_holds_up_no_other(
    ledger: Ledger, links: Links, value: dict[str, Any], stored: str | None
) -> None:
    store, strange, plain = Written(), held(ledger), held(ledger)
    links.of(strange.task).progress(value)
    links.of(plain.task).progress({"done": 1})
    await links.write(store)
    (batch,) = store.batches
    assert batch.get(strange.task.lease) == stored
    assert batch[plain.task.lease] == '{"done":1}'


async def test_a_context_says_progress_in_the_words_given() -> None:
    app = App()

    @app.task
    async def task(context: Context) -> None:
        context.progress(3, 10, "thumbnails")

    bench = Bench(app)
    run = run_of(claimed())
    bench.ledger.add([run])
    bench.slots.offer([run])
    await bench.slots.idle()
    store = Written()
    await bench.surroundings.links.write(store)
    assert store.batches == [{run.task.lease: '{"done":3,"total":10,"message":"thumbnails"}'}]


async def test_the_deadline_is_the_timeout_s_end() -> None:
    app = App()

    @app.task
    async def task(context: Context) -> list[float]:
        return [context.deadline - time.monotonic(), context.seconds_left]

    left = (await Bench(app).run(timeout_seconds=100.0)).result
    assert all(70 < seconds <= 100 for seconds in left)


class Asking:
    """A handler, in a coroutine or a thread, that asks for its lease's renewal at once."""

    def __init__(self, mode: str) -> None:
        self.app = App()
        self.told: list[str] = []

        async def waits(context: Context) -> str:
            try:
                await context.heartbeat()
            except Stopped as stopped:
                self.told.append(str(stopped))
                raise
            return "went on"

        def in_thread(context: Context) -> str:
            try:
                context.heartbeat()
            except Stopped as stopped:
                self.told.append(str(stopped))
                raise
            return "went on"

        self.app.task(name="task")(waits if mode == "coroutine" else in_thread)
        self.bench = Bench(self.app, concurrency=1)
        self.links = self.bench.surroundings.links
        self.run = run_of(claimed())
        self.bench.ledger.add([self.run])

    async def asked(self) -> None:
        roused = threading.Event()
        self.links.rouse = roused.set
        self.bench.slots.offer([self.run])
        await eventually(roused.is_set)

    async def ended(self) -> Outcome | None:
        await self.bench.slots.idle()
        return self.bench.finishes[-1].outcome if self.bench.finishes else None


MODES = pytest.mark.parametrize("mode", ["coroutine", "thread"])


@MODES
async def test_a_heartbeat_goes_on_when_the_lease_has_been_renewed(mode: str) -> None:
    asking = Asking(mode)
    await asking.asked()
    assert asking.links.asked(time.monotonic()) == {asking.run}
    asking.links.answer(asking.run.task.lease)
    assert await asking.ended() is Outcome.SUCCEEDED
    assert asking.links.asked(time.monotonic()) == set()


@MODES
async def test_a_heartbeat_of_a_lost_lease_stops_the_handler_and_records_nothing(mode: str) -> None:
    asking = Asking(mode)
    await asking.asked()
    asking.bench.slots.lost(asking.run)
    asking.links.answer(asking.run.task.lease, "the lease is lost")
    assert await asking.ended() is None
    assert asking.bench.lost == [asking.run]
    assert asking.told in (["the lease is lost"], [])  # a coroutine may have been cancelled first


@MODES
async def test_a_heartbeat_is_not_waited_for_longer_than_the_lease_lasts(mode: str) -> None:
    asking = Asking(mode)
    await asking.asked()
    assert asking.links.asked(asking.run.lease_until - 1) == {asking.run}
    assert asking.links.asked(asking.run.lease_until + 1) == set()
    assert await asking.ended() is Outcome.RELEASED
    assert asking.told == ["the lease is lost"]


async def test_a_cancelled_task_s_thread_is_told_at_its_heartbeat() -> None:
    asking = Asking("thread")
    await asking.asked()
    asking.bench.slots.cancelled(asking.run)
    assert asking.links.asked(time.monotonic()) == set()
    assert await asking.ended() is Outcome.CANCELLED
    assert asking.told == [f"the task must stop: {StopReason.CANCELLED}"]


@MODES
async def test_who_asks_when_the_worker_ends_is_told(mode: str) -> None:
    asking = Asking(mode)
    await asking.asked()
    asking.links.close()
    assert await asking.ended() is Outcome.RELEASED
    again = Asking(mode)
    again.links.close()
    again.bench.slots.offer([again.run])
    assert await again.ended() is Outcome.RELEASED
    assert asking.told == again.told == ["the worker ends"]


async def test_a_coroutine_that_no_longer_waits_for_its_answer_does_no_harm() -> None:
    asking = Asking("coroutine")
    await asking.asked()
    asking.bench.slots.cancelled(asking.run)
    assert await asking.ended() is Outcome.CANCELLED
    asking.links.answer(asking.run.task.lease)


async def test_a_loop_of_the_handler_s_own_may_ask_too() -> None:
    app = App()

    @app.task
    def task(context: Context) -> str:
        async def ask() -> str:
            await context.heartbeat()
            return "went on"

        return asyncio.run(ask())

    bench = Bench(app)
    run = run_of(claimed())
    bench.ledger.add([run])
    links = bench.surroundings.links
    links.rouse = lambda: links.answer(run.task.lease)
    bench.slots.offer([run])
    await bench.slots.idle()
    assert [finish.result for finish in bench.finishes] == ["went on"]
