"""Workers over two servers whose answers get lost all the time: each task ends once, uncharged."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

import aiohttp

from tests.contract.conftest import Start
from tests.support import ledger, storage
from tests.support.http import ask
from tests.support.http_worker import HttpWorker
from tidemill.settings import Settings
from tidemill.store import Store

T = TypeVar("T")
TASKS, WORKERS, SEED = 300, 8, 5


class Careless:
    """Hangs up in the middle of claims and reports, and says every report until it is heard."""

    def __init__(self, worker: HttpWorker, dice: random.Random) -> None:
        self.worker, self.dice = worker, dice

    async def work(self, store: Store) -> None:
        while await storage.count(store.db, "attempts WHERE outcome = 'succeeded'") < TASKS:
            tasks = await self._hung_up(self.worker.claim(wait=1, limit=5))
            if tasks is None:
                await self.worker.extend([], release_others=True)
                continue
            for task in tasks:
                how = self.dice.choice(["complete", "complete", "complete", "release"])
                while (held := await self._hung_up(self.worker.end(how, [task]))) is None:
                    pass
                assert held == [True]

    async def _hung_up(self, call: Coroutine[Any, Any, T]) -> T | None:
        """Return the answer, or None for one that was not waited for."""
        task = asyncio.ensure_future(call)
        if self.dice.random() < 0.3:
            await asyncio.sleep(self.dice.random() * 0.05)
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return None


async def test_whatever_answers_are_lost_each_task_ends_once_and_is_never_charged(
    settings: Settings, start_api: Start, store: Store
) -> None:
    servers = [await start_api(settings), await start_api(settings)]
    await storage.enqueue(store, TASKS)
    workers = [await HttpWorker.register(servers[n % 2]) for n in range(WORKERS)]
    dice = random.Random(SEED)
    await asyncio.gather(
        *(Careless(each, random.Random(dice.random())).work(store) for each in workers)
    )
    for each in workers:
        await left(each.http, each.id)
    assert await storage.count(store.db, "leases") == 0
    charged = "SELECT count(*) FROM tidemill.attempts WHERE retry_count + crash_count > 0"
    assert await store.db.fetchval(charged) == 0
    assert (await ledger.balance(store))["succeeded"] == TASKS


async def left(http: aiohttp.ClientSession, worker_id: int) -> None:
    assert (await ask(http, "DELETE", f"/api/workers/{worker_id}")).status == 204
