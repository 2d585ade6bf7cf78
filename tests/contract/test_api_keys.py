"""Idempotency keys over several API processes, and through a task's whole life."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support import ledger, storage
from tests.support.api_process import api_process
from tests.support.http import Answer, ask, enqueue
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store

AT_ONCE = 50


@pytest.fixture
async def two(settings: Settings) -> AsyncIterator[tuple[aiohttp.ClientSession, ...]]:
    """Two API processes on one database."""
    async with api_process(settings) as one, api_process(settings) as other:
        yield one, other


async def storm(two: tuple[aiohttp.ClientSession, ...], key: str) -> list[Answer]:
    """Enqueue one key from both at once, `AT_ONCE` times."""
    calls = [enqueue(two[n % 2], idempotency_key=key, payload={"k": key}) for n in range(AT_ONCE)]
    return await asyncio.gather(*calls)


def is_one_task(answers: list[Answer]) -> bool:
    statuses = Counter(answer.status for answer in answers)
    assert statuses == {201: 1, 200: AT_ONCE - 1}
    return len({answer.json["id"] for answer in answers}) == 1


async def test_fifty_at_once_through_two_processes_are_one_task(
    two: tuple[aiohttp.ClientSession, ...], store: Store
) -> None:
    for n in range(10):
        assert is_one_task(await storm(two, f"k{n}"))
    assert await storage.count(store.db, "tasks") == 10
    assert await storage.count(store.db, "ready") == 10
    await ledger.balance(store)


async def test_storms_of_several_keys_at_once_hold_each_other_up_nowhere(
    two: tuple[aiohttp.ClientSession, ...], store: Store
) -> None:
    storms = await asyncio.gather(*(storm(two, f"k{n}") for n in range(10)))
    assert all(is_one_task(answers) for answers in storms)
    assert await storage.count(store.db, "tasks") == 10


async def test_batches_of_the_same_keys_in_opposite_order_are_one_set_of_tasks(
    two: tuple[aiohttp.ClientSession, ...], store: Store
) -> None:
    keys = [f"k{n:03}" for n in range(100)]
    batch = [{"type": "t", "idempotency_key": key} for key in keys]
    calls = [
        ask(two[n % 2], "POST", "/api/tasks/batch", json=batch[:: 1 if n % 4 < 2 else -1])
        for n in range(20)
    ]
    answers = await asyncio.gather(*calls)
    assert {answer.status for answer in answers} == {200, 201}
    assert sum(answer.json["created"] for answer in answers) == len(keys)
    assert await storage.count(store.db, "tasks") == len(keys)


@pytest.mark.parametrize("end", ["failed", "cancelled", "deleted"])
async def test_a_key_is_free_again_when_its_task(
    http: aiohttp.ClientSession, store: Store, end: str
) -> None:
    first = (await enqueue(http, idempotency_key="k")).json["id"]
    if end == "failed":
        claimed = await storage.claim(store, await storage.worker(store))
        await store.leases.finish(storage.ends(claimed, Outcome.FAILED))
    elif end == "cancelled":
        assert (await ask(http, "POST", f"/api/tasks/{first}/cancel")).status == 200
    else:
        assert (await ask(http, "DELETE", f"/api/tasks/{first}")).status == 204
    second = await enqueue(http, idempotency_key="k", payload="another")
    assert second.status == 201
    assert second.json["id"] != first
    assert (await enqueue(http, idempotency_key="k", payload="another")).status == 200


async def test_a_key_stays_with_a_task_that_succeeded(
    http: aiohttp.ClientSession, store: Store
) -> None:
    first = await enqueue(http, idempotency_key="k")
    claimed = await storage.claim(store, await storage.worker(store))
    await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED))
    again = await enqueue(http, idempotency_key="k")
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert again.json["status"] == "succeeded"


async def test_a_batch_tells_what_is_new_and_one_conflict_refuses_it_whole(
    http: aiohttp.ClientSession, store: Store
) -> None:
    first = await enqueue(http, idempotency_key="a")
    batch = [{"type": "t", "idempotency_key": key} for key in ("a", "b", "b")] + [{"type": "t"}]
    made = await ask(http, "POST", "/api/tasks/batch", json=batch)
    assert made.status == 201
    assert [task["created"] for task in made.json["tasks"]] == [False, True, False, True]
    ids = [task["id"] for task in made.json["tasks"]]
    assert ids[0] == first.json["id"]
    assert ids[1] == ids[2]
    assert (await ask(http, "POST", "/api/tasks/batch", json=batch[:3])).status == 200
    clash = [{"type": "t"}, {"type": "t", "idempotency_key": "a", "payload": "other"}]
    refused = await ask(http, "POST", "/api/tasks/batch", json=clash)
    assert refused.status == 409
    assert refused.json["detail"].startswith("tasks[1].idempotency_key")
    assert await storage.count(store.db, "tasks") == 3
