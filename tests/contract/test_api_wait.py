"""GET /api/tasks/{id}?wait=: the answer comes when the task has ended, or its time is up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.contract.conftest import Start, running_api
from tests.support.http import ask, enqueue, until
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_api.waits import Waits

SHORT = "0.2"
LONG = 45.0


def soon(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return condition()

    return look


async def test_the_answer_comes_when_the_task_has_ended(http: aiohttp.ClientSession) -> None:
    task = (await enqueue(http)).json["id"]
    waiting = asyncio.create_task(ask(http, "GET", f"/api/tasks/{task}?wait=60"))
    await asyncio.sleep(0)
    await ask(http, "POST", f"/api/tasks/{task}/cancel")
    answer = await asyncio.wait_for(waiting, LONG)
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    at_once = await asyncio.wait_for(ask(http, "GET", f"/api/tasks/{task}?wait=60"), LONG)
    assert at_once.json["status"] == "cancelled"


async def test_after_the_time_the_task_comes_as_it_is(http: aiohttp.ClientSession) -> None:
    task = (await enqueue(http)).json["id"]
    began = time.monotonic()
    answer = await ask(http, "GET", f"/api/tasks/{task}?wait={SHORT}")
    assert time.monotonic() - began >= float(SHORT)
    assert (answer.status, answer.json["status"]) == (200, "queued")


async def test_a_task_deleted_meanwhile_is_not_found(http: aiohttp.ClientSession) -> None:
    task = (await enqueue(http)).json["id"]
    waiting = asyncio.create_task(ask(http, "GET", f"/api/tasks/{task}?wait=60"))
    await asyncio.sleep(0)
    assert (await ask(http, "DELETE", f"/api/tasks/{task}")).status == 204
    assert (await asyncio.wait_for(waiting, LONG)).status == 404


@pytest.mark.parametrize("wait", ["x", "-1", "61", "nan", "1&wait=2"])
async def test_a_wait_that_is_none_is_refused(http: aiohttp.ClientSession, wait: str) -> None:
    task = (await enqueue(http)).json["id"]
    answer = await ask(http, "GET", f"/api/tasks/{task}?wait={wait}")
    assert (answer.status, answer.fields) == (400, ["wait"])


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[Waits]:
    """Those who wait, of each server that starts from now on."""
    servers: list[Waits] = []
    made = Waits.__init__

    def seen(self: Waits, store: Store) -> None:
        made(self, store)
        servers.append(self)

    monkeypatch.setattr(Waits, "__init__", seen)
    return servers


async def test_nobody_waits_for_a_client_that_has_gone(
    waits: list[Waits], start_api: Start, settings: Settings
) -> None:
    http = await start_api(settings)
    task = (await enqueue(http)).json["id"]
    waiting = asyncio.create_task(ask(http, "GET", f"/api/tasks/{task}?wait=60"))
    await until(soon(lambda: bool(waits[0]._polls)))
    waiting.cancel()
    await asyncio.wait_for(until(soon(lambda: not waits[0]._polls)), LONG)


async def test_a_server_that_ends_answers_those_who_wait(
    waits: list[Waits], settings: Settings
) -> None:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(running_api(settings))
        task = (await enqueue(http)).json["id"]
        async with aiohttp.ClientSession(http._base_url) as other:
            waiting = asyncio.create_task(ask(other, "GET", f"/api/tasks/{task}?wait=60"))
            await until(soon(lambda: bool(waits[0]._polls)))
            await asyncio.wait_for(stack.aclose(), LONG)
            answer = await asyncio.wait_for(waiting, LONG)
    assert (answer.status, answer.json["status"]) == (200, "queued")
