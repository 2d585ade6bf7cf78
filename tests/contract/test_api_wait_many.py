"""Long polls for the ends of tasks: many at once, and with the database away meanwhile."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import aiohttp
import pytest

from tests.contract.conftest import Start, running_api
from tests.support import postgres, storage
from tests.support.http import ask, enqueue
from tidemill.db import Database
from tidemill.models import Task
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.tasks import TaskStore
from tidemill_api.requests import fields
from tidemill_cli.local.postgres import EmbeddedPostgres

WAITERS, LEAVERS, LOOKS = 200, 50, 3
LONG = 900
DONE = (200, 409)
"""Cancelled now, or by an act whose answer was lost."""


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tasks each look asked for, of servers that start from now on."""
    found: list[int] = []
    ended = TaskStore.ended

    async def counted(self: TaskStore, ids: Sequence[UUID]) -> Mapping[UUID, Task | None]:
        answer = await ended(self, ids)
        found.append(len(ids))
        return answer

    monkeypatch.setattr(TaskStore, "ended", counted)
    monkeypatch.setattr(fields, "LONGEST_WAIT", float(LONG))  # nobody's time is up here
    return found


def waiting(http: aiohttp.ClientSession, task_id: object) -> "asyncio.Task[tuple[int, str]]":
    async def wait() -> tuple[int, str]:
        async with http.get(f"/api/tasks/{task_id}?wait={LONG}", timeout=patience) as answer:
            return answer.status, (await answer.json())["status"]

    patience = aiohttp.ClientTimeout(total=LONG)
    return asyncio.create_task(wait())


async def several(looks: list[int], each: int) -> None:
    """Return once some looks after another have asked for so many tasks, all at once."""

    async def found() -> bool:
        return looks[-LOOKS:] == [each] * LOOKS

    await storage.until(found)


async def test_however_many_wait_one_statement_asks_for_all_and_who_leaves_is_forgotten(
    looks: list[int], start_api: Start, settings: Settings, store: Store
) -> None:
    http = await start_api(settings)
    made = await storage.enqueue(store, WAITERS)
    polls = [waiting(http, each.id) for each in made]
    await several(looks, WAITERS)

    async def bounded() -> bool:
        sessions = await store.db.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'tidemill api'"
        )
        return bool(sessions <= settings.database_pool_size)

    await storage.until(bounded)
    for poll in polls[:LEAVERS]:
        poll.cancel()
    await several(looks, WAITERS - LEAVERS)
    await store.acts.cancel([each.id for each in made])
    assert set(await asyncio.gather(*polls[LEAVERS:])) == {(200, "cancelled")}
    await asyncio.gather(*polls, return_exceptions=True)


async def test_a_wait_outlives_the_database(
    looks: list[int], private_server: EmbeddedPostgres
) -> None:
    settings = postgres.settings_of(private_server.url("postgres"))
    db = Database.of(settings, application="tests")
    await migrate(db)
    await db.close()
    async with running_api(settings) as http:
        task = (await enqueue(http)).json["id"]
        poll = waiting(http, task)
        await several(looks, 1)
        await asyncio.to_thread(private_server.stop)
        await asyncio.to_thread(private_server.start)

        async def cancelled() -> bool:
            return (await ask(http, "POST", f"/api/tasks/{task}/cancel")).status in DONE

        await storage.until(cancelled)
        assert await poll == (200, "cancelled")
