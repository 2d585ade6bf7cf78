"""Full queues, queues that are not to be created, paused ones: what an enqueue is answered."""

import asyncio
from collections import Counter

import aiohttp

from tests.contract.conftest import Start
from tests.support import ledger, postgres, storage
from tests.support.http import ask, enqueue
from tidemill.store import Store


async def test_a_full_queue_is_429_until_there_is_room(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await ask(http, "PUT", "/api/queues/q", json={"max_depth": 2})
    for delay in (None, 600):  # what is scheduled waits, too
        assert (await enqueue(http, queue="q", delay_seconds=delay)).status == 201
    refused = await enqueue(http, queue="q")
    assert refused.status == 429
    assert refused.json["type"] == "urn:tidemill:problem:queue-full"
    assert int(refused.headers["Retry-After"]) >= 1
    assert "'q'" in refused.json["detail"]
    assert (await enqueue(http, queue="other")).status == 201
    await storage.claim(store, await storage.worker(store), queues=["q"])
    assert (await enqueue(http, queue="q")).status == 201
    await ledger.balance(store)


async def test_a_batch_that_does_not_fit_is_refused_whole(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await ask(http, "PUT", "/api/queues/q", json={"max_depth": 3})
    batch = [{"type": "t", "queue": queue} for queue in ("q", "q", "p", "q", "q")]
    assert (await ask(http, "POST", "/api/tasks/batch", json=batch)).status == 429
    assert await storage.count(store.db, "tasks") == 0
    assert (await ask(http, "POST", "/api/tasks/batch", json=batch[:4])).status == 201


async def test_a_full_queue_costs_concurrent_requests_for_others_nothing(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await ask(http, "PUT", "/api/queues/full", json={"max_depth": 5})
    calls = [enqueue(http, queue=queue) for queue in ("full", "free") * 100]
    answers = await asyncio.gather(*calls)
    full, free = Counter(a.status for a in answers[::2]), Counter(a.status for a in answers[1::2])
    assert full == {201: 5, 429: 95}
    assert free == {201: 100}
    assert await storage.count(store.db, "ready") == 105


async def test_a_known_key_gets_its_task_from_a_full_queue(http: aiohttp.ClientSession) -> None:
    await ask(http, "PUT", "/api/queues/q", json={"max_depth": 1})
    first = await enqueue(http, queue="q", idempotency_key="k")
    assert first.status == 201
    again = await enqueue(http, queue="q", idempotency_key="k")
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert (await enqueue(http, queue="q", idempotency_key="l")).status == 429


async def test_a_paused_queue_accepts(http: aiohttp.ClientSession) -> None:
    await ask(http, "PUT", "/api/queues/q", json={})
    await ask(http, "POST", "/api/queues/q/pause")
    made = await enqueue(http, queue="q")
    assert (made.status, made.json["status"]) == (201, "queued")


async def test_where_queues_are_not_created_an_unknown_one_is_named(
    start_api: Start, database_url: str, store: Store
) -> None:
    settings = postgres.settings_of(database_url, create_queues_on_enqueue="off")
    http = await start_api(settings)
    await ask(http, "PUT", "/api/queues/known", json={})
    calls = [enqueue(http, queue=queue) for queue in ("known", "none") * 20]
    answers = await asyncio.gather(*calls)
    for known, unknown in zip(answers[::2], answers[1::2], strict=True):
        assert known.status == 201
        assert (unknown.status, unknown.fields) == (400, ["queue"])
    batch = [{"type": "t", "queue": queue} for queue in ("known", "none", "known")]
    refused = await ask(http, "POST", "/api/tasks/batch", json=batch)
    assert (refused.status, refused.fields) == (400, ["tasks[1].queue"])
    move = {"filter": {"queue": "known"}, "queue": "none"}
    refused = await ask(http, "POST", "/api/tasks/move", json=move)
    assert (refused.status, refused.fields) == (400, ["queue"])
    assert [queue["name"] for queue in (await ask(http, "GET", "/api/queues")).json["queues"]] == [
        "known"
    ]
    assert await storage.count(store.db, "tasks") == 20


async def test_a_queue_that_takes_registered_types_only_refuses_others(
    http: aiohttp.ClientSession,
) -> None:
    await ask(http, "PUT", "/api/queues/strict", json={"unknown_types": "reject"})
    await ask(http, "PUT", "/api/task-types/known", json={})
    calls = [
        enqueue(http, queue=queue, type=kind)
        for queue, kind in (("strict", "known"), ("strict", "none"), ("free", "none")) * 10
    ]
    answers = await asyncio.gather(*calls)
    assert {answer.status for answer in answers[::3]} == {201}
    assert {(answer.status, *answer.fields) for answer in answers[1::3]} == {(400, "type")}
    assert {answer.status for answer in answers[2::3]} == {201}
