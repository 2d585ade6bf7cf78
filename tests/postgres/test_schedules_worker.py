"""Schedules that an app declares: registered where its types are, fired by its worker."""

import asyncio

from tests.support import storage
from tests.support.schedules import got, hourly, pass_time, settled
from tidemill import App, Context
from tidemill.db import Database
from tidemill.schedules import SLOT_HEADER
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_worker import Worker


async def test_a_worker_registers_fires_and_runs_what_its_app_schedules(
    store: Store, db: Database, settings: Settings
) -> None:
    app = App()
    ran: asyncio.Queue[str] = asyncio.Queue()

    @app.task
    async def report(context: Context, day: str) -> None:
        await ran.put(f"{day} {context.headers[SLOT_HEADER]}")

    app.schedule("nightly", cron=hourly(), task=report, payload={"day": "today"})
    async with Worker(app, settings=settings):
        schedule = await got(store, "nightly")
        assert schedule.app == "embedded"
        await pass_time(db)
        async with storage.patience():
            told = await ran.get()
    (slot,) = await store.schedules.fired("nightly", 5)
    assert told == f"today {slot.slot:%Y-%m-%dT%H:%M:%SZ}"
    assert await settled(store) == {"nightly": 1}


async def test_a_worker_that_starts_again_leaves_a_paused_schedule_paused(
    store: Store, db: Database, settings: Settings
) -> None:
    app = App()
    app.schedule("nightly", cron=hourly(), task="elsewhere")
    async with Worker(app, settings=settings):
        await store.schedules.pause("nightly")
    await pass_time(db)
    async with Worker(app, settings=settings):
        assert (await got(store, "nightly")).paused
    assert await settled(store) == {}
