"""A worker that ends: nothing is lost, and nobody is charged a retry."""

import asyncio
import threading
from collections import Counter
from dataclasses import replace

from tests.support.worker import eventually, finished
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store
from tidemill_worker import Worker


async def test_running_tasks_finish_and_unstarted_ones_go_back(
    app: App, settings: Settings, client: Client, store: Store
) -> None:
    go_on = asyncio.Event()

    @app.task
    async def task() -> None:
        await go_on.wait()

    worker = Worker(app, settings=replace(settings, concurrency=2, prefetch="5"))
    stored = await client.enqueue_many([NewTask(type="task") for _ in range(7)])
    async with worker:
        await eventually(lambda: worker.leases == 7)
        stopping = asyncio.create_task(worker.stop())
        await eventually(lambda: worker.leases == 2)  # the running ones
        assert not stopping.done()
        go_on.set()
        drained = await stopping
    assert (drained.returned, drained.cancelled, drained.unrecorded) == (5, 0, 0)
    tasks = [await client.get(each.id) for each in stored]
    assert Counter(task.status for task in tasks) == {Status.SUCCEEDED: 2, Status.QUEUED: 5}
    assert all(task.retry_count == 0 for task in tasks)
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.leases") == 0


async def test_what_still_runs_after_the_drain_time_goes_back_uncharged(
    app: App, settings: Settings, client: Client
) -> None:
    hung = threading.Event()

    @app.task
    async def coroutine() -> None:
        await asyncio.sleep(600)

    @app.task
    def function() -> None:
        hung.wait(100)

    stored = await client.enqueue_many([NewTask(type="coroutine"), NewTask(type="function")])
    async with Worker(app, settings=replace(settings, drain_seconds=0.1)) as worker:
        await eventually(lambda: worker.running == 2)
        drained = await worker.stop()
    hung.set()
    assert drained.cancelled == 2
    assert drained.clean
    for each in stored:
        task = await client.get(each.id)
        assert (task.status, task.retry_count) == (Status.QUEUED, 0)
        kinds = [event.event_type for event in await client.history(each.id)]
        assert kinds == [Event.TASK_QUEUED, Event.TASK_STARTED, Event.TASK_RELEASED]


async def test_hurry_ends_the_wait(app: App, settings: Settings, client: Client) -> None:
    @app.task
    async def task() -> None:
        await asyncio.sleep(600)

    stored = await client.enqueue(NewTask(type="task"))
    async with Worker(app, settings=replace(settings, drain_seconds=3600)) as worker:
        await eventually(lambda: worker.running == 1)
        stopping = asyncio.create_task(worker.stop())
        await asyncio.sleep(0)
        worker.hurry()
        await asyncio.wait_for(stopping, 60)
    assert (await client.get(stored.id)).status is Status.QUEUED


async def test_what_a_draining_worker_gave_back_another_runs_at_once(
    app: App, settings: Settings, client: Client, store: Store
) -> None:
    first_is_held = asyncio.Event()
    runs: list[str] = []

    @app.task
    async def task() -> None:
        runs.append("run")
        if len(runs) == 1:
            first_is_held.set()
            await asyncio.sleep(600)

    slow_poll = replace(settings, drain_seconds=0, poll_seconds=3600)
    first, second = Worker(app, settings=slow_poll), Worker(app, settings=slow_poll)
    async with first:
        stored = await client.enqueue(NewTask(type="task"))
        await first_is_held.wait()
        async with second:
            await first.stop()
            assert (await finished(store, stored.id)).status is Status.SUCCEEDED


async def test_stopping_twice_and_stopping_a_worker_that_never_started_is_harmless(
    app: App, settings: Settings
) -> None:
    @app.task
    async def task() -> None: ...

    worker = Worker(app, settings=settings)
    await worker.stop()
    async with worker:
        await worker.stop()
        await worker.stop()
