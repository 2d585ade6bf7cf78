"""Postgres is restarted twice in the middle of everything, gently and not: nobody gives up."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM
from uuid import UUID

import aiohttp
import pytest

from tests.contract.conftest import running_api
from tests.support import ledger, postgres, storage
from tests.support.http import enqueue, until
from tests.support.worker_process import WorkerProcess, worker_process
from tidemill.db import Database
from tidemill.notify import Listener
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.local.postgres import EmbeddedPostgres

PRODUCERS = 8
BETWEEN = 150
"""Tasks that are acknowledged before, between and after the restarts."""


class Producers:
    """Enqueue without pause; with a key, again until it is acknowledged."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.acknowledged = set[UUID]()
        self.refused = 0
        self._http = http
        self._stopped = False

    async def run(self) -> None:
        await asyncio.gather(*(self._produce(n) for n in range(PRODUCERS)))

    def stop(self) -> None:
        self._stopped = True

    async def more(self) -> None:
        """Return once so many more are acknowledged."""
        wanted = len(self.acknowledged) + BETWEEN

        async def reached() -> bool:
            return len(self.acknowledged) >= wanted

        await until(reached)

    async def _produce(self, number: int) -> None:
        turn = 0
        while not self._stopped:
            turn += 1
            key = f"{number}-{turn}" if turn % 2 else None
            acknowledged = await self._enqueued(number * 1_000_000 + turn, key)
            while key and not acknowledged:
                await asyncio.sleep(0.1)
                acknowledged = await self._enqueued(number * 1_000_000 + turn, key)

    async def _enqueued(self, n: int, key: str | None) -> bool:
        payload = {"n": n, "seconds": 0.005}
        answer = await enqueue(self._http, type="work", payload=payload, idempotency_key=key)
        if answer.status not in (200, 201):
            assert answer.status == 503, answer
            self.refused += 1
            return False
        self.acknowledged.add(UUID(answer.json["id"]))
        return True


@pytest.mark.timeout(300)
async def test_two_restarts_in_the_middle_of_everything_lose_and_repeat_nothing(
    private_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    settings = postgres.settings_of(private_server.url("postgres"))
    async with migrated(settings) as db, listening(settings) as heard:
        processes = [worker_process(settings, tmp_path / f"trace{n}") for n in range(2)]
        with processes[0] as one, processes[1] as two:
            api = replace(settings, fold_seconds=0.5, recover_seconds=0.5, promote_seconds=0.2)
            async with running_api(api) as http:
                producers = Producers(http)
                running = asyncio.create_task(producers.run())
                for stop in (private_server.stop, private_server.crash):
                    await producers.more()
                    await restart(private_server, stop)
                await producers.more()
                producers.stop()
                await running
                await until(lambda: settled(db))
                await heard("after it all", db)
            for worker in (one, two):
                assert worker.process.poll() is None, worker.log()
            await asyncio.to_thread(told_to_stop, one, two)
        ids = sorted(producers.acknowledged)
        succeeded = await db.fetch(
            "SELECT task_id FROM tidemill.attempts WHERE outcome = 'succeeded' "
            "AND task_id = ANY ($1) ORDER BY task_id",
            ids,
        )
        assert [row["task_id"] for row in succeeded] == ids
        balance = await ledger.balance(Store.of(db))
        assert balance["succeeded"] == sum(balance.values()) >= 3 * BETWEEN
    assert producers.refused > 0  # it was away while they went on


async def restart(server: EmbeddedPostgres, stop: Callable[[], None]) -> None:
    """Stop the server, leave everybody without it for a moment, start it again."""
    await asyncio.to_thread(stop)
    await asyncio.sleep(1.0)  # how long it is away is what happens here
    await asyncio.to_thread(server.start)


async def settled(db: Database) -> bool:
    """Whether all tasks have ended, and what ended is in the statistics."""
    return await storage.unended(db) == 0


def told_to_stop(*workers: WorkerProcess) -> None:
    for worker in workers:
        worker.signal(SIGTERM)
    for worker in workers:
        assert worker.wait() == 0, worker.log()
        assert "Traceback" not in worker.log(), worker.log()


@asynccontextmanager
async def migrated(settings: Settings) -> AsyncGenerator[Database]:
    database = Database.of(settings, application="tests")
    await migrate(database)
    yield database
    await database.close()


Hears = Callable[[str, Database], Awaitable[None]]


@asynccontextmanager
async def listening(settings: Settings) -> AsyncGenerator[Hears]:
    """Listen, and yield a way to see that a hint is heard."""
    told = list[str]()
    listener = Listener(settings, application="listens")
    listener.subscribe(told.append)

    async def hears(hint: str, db: Database) -> None:
        async def reconnected() -> bool:  # maybe once for both restarts: it waits between tries
            return told.count("") >= 2 and listener.listening

        await until(reconnected)
        await db.execute("SELECT pg_notify('tidemill', $1)", hint)

        async def heard() -> bool:
            return hint in told

        await until(heard)

    async with listener:
        yield hears
