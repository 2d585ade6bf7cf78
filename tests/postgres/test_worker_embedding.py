"""Workers inside a process that is not theirs."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.support import ledger
from tests.support.worker import eventually, finished
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill_worker import Worker


def belongings() -> dict[str, Any]:
    """Return what of the process is not a guest's to change."""
    root, ours = logging.getLogger(), logging.getLogger("tidemill")
    loop = asyncio.get_running_loop()
    signal.set_wakeup_fd(wake_up := signal.set_wakeup_fd(-1))
    return {
        "signals": {each: signal.getsignal(each) for each in signal.valid_signals()},
        "wake-up": wake_up,
        "logging": [(each.level, list(each.handlers), list(each.filters)) for each in (root, ours)],
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "loop": (loop.get_exception_handler(), loop.get_debug(), loop.get_task_factory()),
        "collector": (gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()),
        "folder": (Path.cwd(), list(sys.path)),
        "environment": dict(os.environ),
    }


@pytest.fixture
def tasks(app: App) -> App:
    @app.task
    async def coroutine() -> str:
        return "coroutine"

    @app.task
    def function() -> str:
        return "function"

    return app


async def test_a_worker_takes_neither_signals_nor_logging_nor_anything_else_of_the_process(
    tasks: App, settings: Settings, client: Client, store: Store
) -> None:
    before, others = belongings(), set(threading.enumerate())
    async with Worker(tasks, settings=settings) as worker:
        await client.enqueue_many([NewTask(type=name) for name in ("coroutine", "function")])
        assert await worker.run_until_empty()
        assert belongings() == before
    assert belongings() == before
    assert (await ledger.balance(store))["succeeded"] == 2
    mine = [each for each in threading.enumerate() if each not in others]
    await eventually(lambda: not any(each.is_alive() for each in mine), seconds=60)


def counting(queue: str, ran: Counter[str]) -> App:
    """Return an app whose one task counts its runs."""
    app = App()

    @app.task(name=queue)
    async def task() -> None:
        ran[queue] += 1

    return app


async def test_several_workers_share_a_process_each_with_its_own_queues(
    settings: Settings, client: Client, store: Store
) -> None:
    ran: Counter[str] = Counter()
    apps = {queue: counting(queue, ran) for queue in ("mails", "images", "reports")}
    tasks = [NewTask(type=queue, queue=queue) for queue in apps for _ in range(100)]
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(Worker(app, settings=replace(settings, queues=queue)))
            for queue, app in apps.items()
        ]
        assert len({worker.identity.id for worker in workers}) == 3
        await client.enqueue_many(tasks)
        assert all(await asyncio.gather(*(worker.run_until_empty() for worker in workers)))
        await workers[0].stop()  # the others go on
        again = await client.enqueue(NewTask(type="images", queue="images"))
        assert (await finished(store, again.id)).status is Status.SUCCEEDED
    assert ran == {"mails": 100, "images": 101, "reports": 100}
    assert (await ledger.balance(store))["succeeded"] == 301


async def test_a_worker_lives_in_the_lifespan_of_a_fastapi_application(
    tasks: App, settings: Settings, store: Store
) -> None:
    worker = Worker(tasks, settings=settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with worker, Client.of(settings) as client:
            api.state.client = client
            yield

    api = FastAPI(lifespan=lifespan)

    @api.post("/work")
    async def work() -> dict[str, str]:
        stored = await api.state.client.enqueue(NewTask(type="function"))
        done = await finished(store, stored.id)
        return {"result": str(done.result)}

    transport = httpx.ASGITransport(app=api)
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        answer = await http.post("/work")
        assert answer.json() == {"result": "function"}
        assert worker.ready
    assert not worker.ready


async def test_an_error_in_the_block_drains_too(
    app: App, settings: Settings, client: Client, store: Store
) -> None:
    began = asyncio.Event()

    @app.task
    async def task() -> None:
        began.set()
        await asyncio.sleep(0.2)

    async def application() -> None:
        async with Worker(app, settings=settings):
            await client.enqueue(NewTask(type="task"))
            await asyncio.wait_for(began.wait(), 30)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await application()
    assert (await ledger.balance(store))["succeeded"] == 1


async def test_a_cancelled_application_drains_its_worker(
    app: App, settings: Settings, client: Client, store: Store
) -> None:
    began = asyncio.Event()

    @app.task
    async def task() -> None:
        began.set()
        await asyncio.sleep(0.2)

    async def application() -> None:
        async with Worker(app, settings=settings):
            await asyncio.Event().wait()

    running = asyncio.create_task(application())
    await client.enqueue(NewTask(type="task"))
    await asyncio.wait_for(began.wait(), 30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await ledger.balance(store))["succeeded"] == 1
