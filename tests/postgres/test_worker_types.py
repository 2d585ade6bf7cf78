"""A type with a bound of its own, before a real queue."""

import asyncio
from collections import Counter
from dataclasses import replace

from tests.support.ledger import balance
from tests.support.worker import finished
from tidemill import App
from tidemill.client import Client
from tidemill.models import NewTask
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_worker import Worker


async def test_a_backlog_of_a_bounded_type_holds_up_no_other_and_is_no_hot_loop(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    go_on = asyncio.Event()
    running = most = 0

    @app.task(concurrency=1)
    async def slow() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go_on.wait()
        running -= 1

    @app.task
    async def other() -> None: ...

    await client.enqueue_many([NewTask(type="slow")] * 2000)
    others = await client.enqueue_many([NewTask(type="other")] * 20)
    async with Worker(app, settings=replace(settings, concurrency=10)):
        for each in others:
            await finished(store, each.id)
        assert (running, most) == (1, 1)
        soonest = await store.db.fetchval(
            "SELECT min(extract(epoch FROM gap)) FROM (SELECT finished_at - lag(finished_at)"
            " OVER (PARTITION BY task_id ORDER BY token) AS gap FROM tidemill.attempts"
            " WHERE outcome = 'snoozed') AS gaps"
        )
        assert soonest is None or soonest >= 1
        charged = await store.db.fetchval("SELECT max(retry_count) FROM tidemill.scheduled")
        assert charged == 0
        go_on.set()
    assert most == 1
    await balance(store)


async def test_a_burst_waits_for_what_it_has_set_aside_itself(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    @app.task(concurrency=1)
    async def one_at_a_time() -> None:
        await asyncio.sleep(0.05)

    tasks = await client.enqueue_many([NewTask(type="one_at_a_time")] * 60)
    assert await Worker(app, settings=settings).run_until_empty()
    found = [await store.tasks.get(each.id) for each in tasks]
    assert Counter(task.status for task in found if task) == {"succeeded": 60}
