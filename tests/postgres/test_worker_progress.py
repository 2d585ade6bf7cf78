"""Progress and heartbeats of handlers, from their Context to what a reader sees."""

import asyncio
import threading
import time
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.support import ledger
from tests.support.worker import eventually_async, finished
from tidemill import App, Context, NewTask
from tidemill.client import Client
from tidemill.db import Database
from tidemill.models import Lease, Task
from tidemill.sdk.context import Stopped
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill_worker import Worker


async def shown(store: Store, task_id: UUID) -> Task:
    task = await store.tasks.get(task_id)
    assert task is not None
    return task


def declare(app: App, mode: str, go_on: asyncio.Event) -> None:
    """Declare a task that says how far it has come, then waits to be let go."""

    async def coroutine(context: Context) -> None:
        context.progress(1, 2, "half")
        await go_on.wait()

    def thread(context: Context) -> None:
        context.progress(1, 2, "half")
        while not go_on.is_set():
            time.sleep(0.01)

    app.task(name="task")(coroutine if mode == "coroutine" else thread)


@pytest.mark.parametrize("mode", ["coroutine", "thread"])
async def test_progress_is_shown_while_the_task_runs_and_no_longer(
    app: App, settings: Settings, store: Store, client: Client, mode: str
) -> None:
    go_on = asyncio.Event()
    declare(app, mode, go_on)
    async with Worker(app, settings=settings):
        stored = await client.enqueue(NewTask(type="task"))

        async def told() -> bool:
            return (await shown(store, stored.id)).progress is not None

        await eventually_async(told)
        task = await shown(store, stored.id)
        assert (task.status, task.progress) == (
            Status.RUNNING,
            {"done": 1, "total": 2, "message": "half"},
        )
        go_on.set()
        assert (await finished(store, stored.id)).progress is None
    await ledger.balance(store)


async def test_progress_is_written_while_a_handler_blocks_the_loop(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    seen: list[Any] = []

    @app.task
    async def task(context: Context) -> None:
        context.progress(7)
        end = time.monotonic() + 60.0
        while time.monotonic() < end and not seen:
            time.sleep(0.05)  # noqa: ASYNC251 - blocking the loop is the subject
            seen.extend(asyncio.run_coroutine_threadsafe(look(), reader).result(60))

    async def look() -> list[Any]:
        rows = await other.db.fetch(
            "SELECT progress FROM tidemill.leases WHERE progress IS NOT NULL"
        )
        return [row["progress"] for row in rows]

    reader = asyncio.new_event_loop()
    thread = threading.Thread(target=reader.run_forever)
    thread.start()
    other = Store.of(Database.of(settings, application="reader", pool_size=1))
    try:
        stored = await client.enqueue(NewTask(type="task"))
        async with Worker(app, settings=settings):
            await finished(store, stored.id, seconds=90)
    finally:
        asyncio.run_coroutine_threadsafe(other.db.close(), reader).result(60)
        reader.call_soon_threadsafe(reader.stop)
        thread.join()
        reader.close()
    assert seen == ['{"done":7}']


async def test_progress_under_an_old_token_changes_nothing(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    go_on = asyncio.Event()
    declare(app, "coroutine", go_on)
    async with Worker(app, settings=settings):
        stored = await client.enqueue(NewTask(type="task"))
        query = "SELECT lease_token FROM tidemill.leases WHERE progress IS NOT NULL"

        async def told() -> bool:
            return await store.db.fetchval(query) is not None

        await eventually_async(told)
        token = await store.db.fetchval(query)
        await store.leases.progress({Lease(stored.id, token - 1): '{"done":9}'})
        assert ((await shown(store, stored.id)).progress or {})["done"] == 1
        await store.leases.progress({Lease(stored.id, token): '{"done":9}'})
        assert ((await shown(store, stored.id)).progress or {})["done"] == 9
        go_on.set()


@pytest.mark.parametrize("mode", ["coroutine", "thread"])
async def test_a_heartbeat_renews_the_lease_now(
    app: App, settings: Settings, store: Store, client: Client, mode: str
) -> None:
    locked_until = "SELECT locked_until FROM tidemill.leases"
    before: list[Any] = []

    async def coroutine(context: Context) -> bool:
        before.append(await store.db.fetchval(locked_until))
        await context.heartbeat()
        return bool(await store.db.fetchval(locked_until) > before[0])

    def thread(context: Context) -> bool:
        context.heartbeat()
        return True

    app.task(name="task")(coroutine if mode == "coroutine" else thread)
    slowly = replace(settings, heartbeat_seconds=60.0, lease_seconds=300.0)
    async with Worker(app, settings=slowly):
        stored = await client.enqueue(NewTask(type="task"))
        assert (await finished(store, stored.id)).result is True


@pytest.mark.parametrize("mode", ["coroutine", "thread"])
async def test_a_heartbeat_tells_that_the_lease_is_lost(
    app: App, settings: Settings, store: Store, client: Client, mode: str
) -> None:
    started, lost, told = threading.Event(), threading.Event(), list[str]()

    async def coroutine(context: Context) -> int:
        if context.attempt == 1:
            started.set()
            await asyncio.to_thread(lost.wait, 60)
            try:
                await context.heartbeat()
            except (Stopped, asyncio.CancelledError) as stopped:
                told.append(type(stopped).__name__)
                raise
        return context.attempt

    def thread(context: Context) -> int:
        if context.attempt == 1:
            started.set()
            lost.wait(60)
            try:
                context.heartbeat()
            except Stopped as stopped:
                told.append(type(stopped).__name__)
                raise
        return context.attempt

    app.task(name="task")(coroutine if mode == "coroutine" else thread)
    slowly = replace(settings, heartbeat_seconds=60.0, lease_seconds=300.0, recover_seconds=0.2)
    async with Worker(app, settings=slowly):
        stored = await client.enqueue(NewTask(type="task"))

        async def running() -> bool:
            return started.is_set()

        async def taken_back() -> bool:
            query = "SELECT count(*) FROM tidemill.attempts WHERE outcome = 'lease_expired'"
            return bool(await store.db.fetchval(query))

        await eventually_async(running)
        await store.db.execute("UPDATE tidemill.leases SET locked_until = now() - interval '1 s'")
        await eventually_async(taken_back)  # by the worker's own maintenance
        lost.set()
        task = await finished(store, stored.id, seconds=60)
    assert told
    assert task.result == 2
    assert task.retry_count == 1
    await ledger.balance(store)
