"""Which task comes first in a worker of several queues, and what does not come at all."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest

from tests.support import ledger
from tests.support.worker import eventually, eventually_async, finished
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.errors import ConfigurationError, InvalidTask
from tidemill.models import TaskType
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill_worker import Worker


@pytest.fixture
def order(app: App) -> list[str]:
    """The queues of the tasks that ran, in their order."""
    seen: list[str] = []

    @app.task
    async def task(queue: str) -> None:
        seen.append(queue)
        await asyncio.sleep(0.001)

    return seen


def tasks(queue: str, count: int, **fields: object) -> list[NewTask]:
    payload = {"queue": queue}
    return [NewTask(type="task", queue=queue, payload=payload, **fields) for _ in range(count)]  # type: ignore[arg-type] # fields of NewTask


async def test_weights_are_shares_of_what_runs(
    app: App, settings: Settings, client: Client, order: list[str]
) -> None:
    await client.enqueue_many(tasks("a", 4000) + tasks("b", 4000))
    async with Worker(app, settings=replace(settings, queues="a=3,b=1", concurrency=4)):
        await eventually(lambda: len(order) > 4000, seconds=60)
    first = Counter(order[:4000])  # while there was enough of both
    assert 0.6 < first["a"] / first.total() < 0.9


async def test_without_weights_no_queue_waits_for_another(
    app: App, settings: Settings, client: Client, order: list[str]
) -> None:
    await client.enqueue_many(tasks("long", 900))
    await client.enqueue_many(tasks("short", 100))
    async with Worker(app, settings=replace(settings, concurrency=4)):
        await eventually(lambda: order.count("short") == 100, seconds=60)
    last = max(place for place, queue in enumerate(order) if queue == "short")
    assert order[:last].count("long") < 500


async def test_in_a_strict_order_a_queue_waits_for_all_before_it(
    app: App, settings: Settings, client: Client, order: list[str]
) -> None:
    await client.enqueue_many(tasks("rest", 100) + tasks("next", 100) + tasks("urgent", 100))
    strict = replace(settings, queues="urgent,next,rest", queue_order="strict", prefetch="0")
    async with Worker(app, settings=strict):
        await eventually(lambda: len(order) == 300, seconds=60)
    assert order == ["urgent"] * 100 + ["next"] * 100 + ["rest"] * 100


def test_a_strict_order_of_all_queues_is_refused(app: App, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="TIDEMILL_QUEUE_ORDER strict"):
        Worker(app, settings=replace(settings, queue_order="strict"))


async def test_priorities_come_before_age_and_a_name_is_a_number(
    app: App, settings: Settings, client: Client
) -> None:
    order: list[str] = []

    @app.task
    async def named(priority: str) -> None:
        order.append(priority)

    definition = app.tasks["named"]
    await client.enqueue_many(
        [
            definition.using(priority=each).new(priority=str(each))
            for each in ("low", -101, "default", 5, "high", 101)
        ]
    )
    with pytest.raises(InvalidTask, match=r"priority: must be a number or one of low, default"):
        definition.using(priority="urgent")
    async with Worker(app, settings=replace(settings, concurrency=1, prefetch="0")):
        await eventually(lambda: len(order) == 6)
    assert order == ["101", "high", "5", "default", "low", "-101"]


@pytest.mark.parametrize("guard_seconds", [0.5, 0.0], ids=["guarded", "unguarded"])
async def test_a_low_priority_waits_for_a_stream_of_high_ones_only_so_long(
    app: App, settings: Settings, store: Store, client: Client, guard_seconds: float
) -> None:
    order: list[str] = []

    @app.task
    async def task(name: str) -> None:
        order.append(name)
        await asyncio.sleep(0.002)

    await store.queues.put("default", {"starvation_seconds": guard_seconds})
    await client.enqueue(NewTask(type="task", payload={"name": "low"}, priority=-1))
    await client.enqueue_many([NewTask(type="task", payload={"name": "high"})] * 2000)
    async with Worker(app, settings=replace(settings, concurrency=4, prefetch="0")):
        await eventually(lambda: len(order) == 2001, seconds=60)
    assert (order[-1] == "low") is not bool(guard_seconds)


async def test_a_paused_queue_waits_and_others_do_not(
    app: App, settings: Settings, store: Store, client: Client, order: list[str]
) -> None:
    await store.queues.put("held", {})
    await store.queues.pause("held")
    paused, running = await client.enqueue_many(tasks("held", 1) + tasks("free", 1))
    async with Worker(app, settings=settings):
        await finished(store, running.id)
        assert (await client.get(paused.id)).status is Status.QUEUED
        await store.queues.resume("held")
        await finished(store, paused.id)
    assert order == ["free", "held"]


async def test_a_paused_type_never_runs_others_do_and_resumed_it_runs_at_once(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    ran: list[str] = []

    @app.task
    async def held(n: int) -> None:
        ran.append(f"held {n}")

    @app.task
    async def free(n: int) -> None:
        ran.append(f"free {n}")

    await store.types.register([TaskType(name="held"), TaskType(name="free")], app="tests")
    await store.types.pause("held")
    # more than a claim takes: those of the paused type must not hide the others
    stored = await client.enqueue_many(
        [NewTask(type="held", payload={"n": n}) for n in range(50)]
        + [NewTask(type="free", payload={"n": n}) for n in range(50)]
    )
    async with Worker(app, settings=replace(settings, poll_seconds=600)):
        await eventually(lambda: len(ran) == 50)

        async def all_parked() -> bool:
            found = await store.db.fetchval(
                "SELECT count(*) FROM tidemill.scheduled WHERE parked = 'held'"
            )
            return bool(found == 50)

        await eventually_async(all_parked)
        assert ran == [f"free {n}" for n in range(50)]
        began = time.monotonic()
        for queue in await store.types.resume("held"):
            client._hints.hint(queue)  # as the API does
        await eventually(lambda: len(ran) == 100)
        assert time.monotonic() - began < 300  # not by a poll
        for each in stored:
            assert (await finished(store, each.id)).retry_count == 0
    assert (await ledger.balance(store))["succeeded"] == 100


async def test_a_backlog_of_a_paused_type_does_not_hold_up_what_is_behind_it(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def held() -> None: ...

    @app.task
    async def free() -> None: ...

    await store.types.register([TaskType(name="held"), TaskType(name="free")], app="tests")
    await store.types.pause("held")
    await client.enqueue_many([NewTask(type="held") for _ in range(2000)])
    behind = await client.enqueue(NewTask(type="free"))
    began = time.monotonic()
    async with Worker(app, settings=replace(settings, poll_seconds=60)):
        await finished(store, behind.id)
    # 2000 tasks in claims of 20: a poll between them, of a second, would make it 100 s
    assert time.monotonic() - began < 60
