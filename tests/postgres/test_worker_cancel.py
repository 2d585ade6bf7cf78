"""Cancelling tasks that a worker holds: at once, by notification, and whatever it races."""

import asyncio
import threading
import time
from dataclasses import replace
from uuid import UUID

import pytest

from tests.support import ledger
from tests.support.worker import eventually, finished
from tidemill import App, Context, NewTask, Retry
from tidemill.client import Client
from tidemill.models import ClaimedTask
from tidemill.sdk.context import StopReason
from tidemill.settings import Settings
from tidemill.states import Event, Outcome, Status
from tidemill.store import Store
from tidemill_worker import Worker

AT_ONCE_SECONDS = 1.0
"""Default settings beat every 5 s: what is quicker came by the notification."""


async def cancel(store: Store, task_id: UUID) -> None:
    async with store.db.transaction() as session:
        await session.execute("UPDATE tidemill.leases SET cancel_requested_at = now()")
        await session.execute(
            "SELECT pg_notify('tidemill_cancel', worker_id::text) FROM tidemill.leases"
            " WHERE task_id = $1",
            task_id,
        )


async def test_a_running_coroutine_is_cancelled_within_a_second(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    started, reasons = asyncio.Event(), list[StopReason | None]()

    @app.task
    async def task(context: Context) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            reasons.append(context.stop_reason)

    async with Worker(app, settings=settings):
        stored = await client.enqueue(NewTask(type="task"))
        await started.wait()
        began = time.monotonic()
        await cancel(store, stored.id)
        task_now = await finished(store, stored.id)
        spent = time.monotonic() - began
    assert task_now.status is Status.CANCELLED
    assert spent < AT_ONCE_SECONDS
    assert reasons == [StopReason.CANCELLED]
    events = [event.event_type for event in await store.tasks.history(stored.id)]
    assert events == [Event.TASK_QUEUED, Event.TASK_STARTED, Event.TASK_CANCELLED]
    assert (await ledger.balance(store))["cancelled"] == 1
