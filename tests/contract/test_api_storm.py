"""Acts over HTTP through two processes, against workers in full swing: the books balance."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from tests.support import ledger, storage
from tests.support.api_process import api_process
from tests.support.http import ask
from tidemill.models import ClaimedTask, Finish, NewTask
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store

SEED = 20_261_122
TASKS, ACTORS, ACTS, WORKERS = 300, 8, 60, 3
ENDS = [Outcome.SUCCEEDED, Outcome.RETRY, Outcome.FAILED, Outcome.SNOOZED, Outcome.RELEASED]
QUEUES = ["a", "b", "c"]


def end(task: ClaimedTask, dice: random.Random) -> Finish:
    outcome = dice.choice(ENDS)
    later = dice.choice([0.0, 0.05, 60.0]) if outcome in (Outcome.RETRY, Outcome.SNOOZED) else None
    return Finish(lease=task.lease, outcome=outcome, delay_seconds=later)


async def work(store: Store, dice: random.Random, done: asyncio.Event) -> None:
    """Claim and end tasks, holding each claim for a moment."""
    worker = await storage.worker(store)
    while not done.is_set():
        claimed = await storage.claim(store, worker, dice.randint(1, 20))
        await asyncio.sleep(dice.random() / 50)
        await store.leases.finish([end(task, dice) for task in claimed])
        await store.upkeep.promote(100)


def act(ids: Sequence[UUID], dice: random.Random) -> tuple[str, str, dict[str, Any]]:
    """Return a random act: method, path and body."""
    task, queue = dice.choice(ids), dice.choice(QUEUES)
    priority = dice.randint(0, 2)
    reach = {"filter": {"queue": queue}, "limit": dice.randint(1, 50)}
    return dice.choice(
        [
            ("POST", f"/api/tasks/{task}/cancel", {}),
            ("POST", f"/api/tasks/{task}/retry", {}),
            ("POST", f"/api/dead-letters/{task}/replay", {}),
            ("POST", "/api/tasks/retry", {"json": reach}),
            ("POST", "/api/dead-letters/replay", {"json": reach}),
            ("POST", "/api/tasks/move", {"json": {**reach, "queue": dice.choice(QUEUES)}}),
            (
                "POST",
                "/api/tasks/reprioritise",
                {"json": {**reach, "priority": priority}},
            ),
            ("POST", f"/api/queues/{queue}/pause", {}),
            ("POST", f"/api/queues/{queue}/resume", {}),
            ("GET", "/api/tasks?status=running&limit=20", {}),
        ]
    )


async def interfere(
    http: aiohttp.ClientSession, ids: Sequence[UUID], dice: random.Random
) -> Counter[int]:
    seen: Counter[int] = Counter()
    for _ in range(ACTS):
        method, path, options = act(ids, dice)
        seen[(await ask(http, method, path, **options)).status] += 1
    return seen


@pytest.mark.timeout(240)
async def test_acts_and_workers_leave_every_task_in_one_place_and_the_books_balanced(
    settings: Settings, store: Store
) -> None:
    dice = random.Random(SEED)
    tasks = [
        NewTask(type="t", queue=QUEUES[n % 3], idempotency_key=f"k{n}" if n % 2 else None)
        for n in range(TASKS)
    ]
    ids = [made.id for made in await store.tasks.enqueue(tasks)]
    done = asyncio.Event()
    async with api_process(settings) as one, api_process(settings) as other:
        workers = [
            asyncio.create_task(work(store, random.Random(dice.random()), done))
            for _ in range(WORKERS)
        ]
        seen = await asyncio.gather(
            *(
                interfere((one, other)[n % 2], ids, random.Random(dice.random()))
                for n in range(ACTORS)
            )
        )
        done.set()
        await asyncio.gather(*workers)
    total = sum(seen, Counter[int]())
    sys.stdout.write(f"storm: {total.total()} acts, answers: {dict(sorted(total.items()))}\n")
    assert set(total) <= {200, 202, 409}
    assert min(total[200], total[409]) > 0
    counts = await ledger.balance(store)
    assert sum(counts.values()) == TASKS
