"""The connection breaks after the server has committed: a worker makes up for what it missed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from typing import Any

import pytest

from tests.support import ledger
from tests.support.cutting import CuttingProxy, cutting
from tests.support.worker import eventually, finished
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.setting import about
from tidemill.settings import Settings
from tidemill.states import Outcome, Status
from tidemill.store import Store
from tidemill_worker import Worker, metrics

COMMITTED = b"COMMIT\0"
"""How the server says that a transaction is committed."""


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[CuttingProxy]:
    async with cutting(database_url) as running:
        yield running


@pytest.fixture
def cut(settings: Settings, proxy: CuttingProxy) -> Settings:
    """The settings of a worker behind the proxy; no maintenance, whose answers would be lost."""
    duties = [each.name for each in fields(Settings) if about(each).group == "maintenance"]
    off: dict[str, Any] = {name: 0.0 for name in duties if name.endswith("_seconds")}
    return replace(settings, database_url=proxy.url, **off)


async def outcomes(store: Store) -> list[str]:
    rows = await store.db.fetch("SELECT outcome FROM tidemill.attempts ORDER BY token")
    return [row["outcome"] for row in rows]


async def test_a_connection_lost_at_the_commit_of_a_claim_leaks_nothing(
    app: App, cut: Settings, proxy: CuttingProxy, store: Store, client: Client
) -> None:
    ran: list[int] = []

    @app.task
    async def task() -> None:
        ran.append(1)

    stored = await client.enqueue(NewTask(type="task"))
    proxy.lose(stored.id.bytes)  # the first answer that names the task: to its claim
    async with Worker(app, settings=cut) as worker:
        await proxy.lost.wait()
        task_now = await finished(store, stored.id)
        await eventually(lambda: worker.leases == 0)
        assert worker.identity.epoch == 2, "a claim still in flight is shut out"
    assert (task_now.status, task_now.retry_count, ran) == (Status.SUCCEEDED, 0, [1])
    assert await outcomes(store) == [Outcome.RELEASED, Outcome.SUCCEEDED]
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.leases") == 0
    await ledger.balance(store)


async def test_a_connection_lost_at_the_commit_of_a_limited_claim_leaks_no_place(
    app: App, cut: Settings, proxy: CuttingProxy, store: Store, client: Client
) -> None:
    """A claim from a queue with limits is a transaction of several statements."""
    ran: list[int] = []

    @app.task
    async def task() -> None:
        ran.append(1)

    await store.queues.put("limited", {"max_running": 1})
    async with Worker(app, settings=replace(cut, queues="limited")) as worker:
        proxy.lose(COMMITTED)
        first, second = await client.enqueue_many(
            [NewTask(type="task", queue="limited") for _ in range(2)]
        )
        await proxy.lost.wait()
        for stored in (first, second):
            task_now = await finished(store, stored.id)
            assert (task_now.status, task_now.retry_count) == (Status.SUCCEEDED, 0)
        await eventually(lambda: worker.leases == 0)
    assert ran == [1, 1]
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.leases") == 0
    assert (await outcomes(store)).count(Outcome.RELEASED) == 1
    await ledger.balance(store)


async def test_an_outcome_whose_commit_is_not_known_is_sent_again_and_recorded_once(
    app: App, cut: Settings, proxy: CuttingProxy, store: Store, client: Client
) -> None:
    ran: list[int] = []

    @app.task
    async def task() -> str:
        ran.append(1)
        proxy.lose(stored.id.bytes)  # the next answer that names the task: to its completion
        return "done"

    lost = metrics.LEASES_LOST._value.get()
    stored = await client.enqueue(NewTask(type="task"))
    async with Worker(app, settings=cut) as worker:
        await asyncio.wait_for(proxy.lost.wait(), 60)
        task_now = await finished(store, stored.id)
        await eventually(lambda: worker.leases == 0)
    assert (task_now.status, task_now.result, ran) == (Status.SUCCEEDED, "done", [1])
    assert await outcomes(store) == [Outcome.SUCCEEDED]
    assert metrics.LEASES_LOST._value.get() == lost, "known again, so not counted as lost"
    await ledger.balance(store)


async def test_a_retry_whose_commit_is_not_known_is_charged_once(
    app: App, cut: Settings, proxy: CuttingProxy, store: Store, client: Client
) -> None:
    @app.task
    async def task() -> None:
        proxy.lose(stored.id.bytes)
        raise ConnectionError("again")

    stored = await client.enqueue(NewTask(type="task"))
    async with Worker(app, settings=cut) as worker:
        await asyncio.wait_for(proxy.lost.wait(), 60)
        await eventually(lambda: worker.leases == 0)
    task_now = await client.get(stored.id)
    assert (task_now.status, task_now.retry_count) == (Status.SCHEDULED, 1)
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.attempts") == 1
    await ledger.balance(store)
