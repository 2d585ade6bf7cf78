"""Long polls of workers that speak HTTP: who is woken, who has gone, who is to end."""

import asyncio
import dataclasses
from typing import Any, Final

import aiohttp

from tests.contract.conftest import Start
from tests.support import ledger, storage
from tests.support.http import ask, enqueue
from tests.support.http_worker import HttpWorker
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_api.server import DRAIN_SECONDS, serve

NOBODY: Final = "00000000-0000-0000-0000-000000000000"
LONG: Final = 60.0
SOON: Final = 45.0
"""Below a long poll's wait, far above what anything takes on a slow machine."""


def slow_polls(settings: Settings) -> Settings:
    return dataclasses.replace(settings, poll_seconds=300.0, heartbeat_seconds=300.0)


async def waiting(db: Database) -> bool:
    """Whether an API listens: it does so once somebody waits."""
    found: bool = await db.fetchval(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() "
        "AND (query LIKE 'LISTEN%' OR query LIKE 'SHOW transaction_read_only%')"
    )
    return found


async def test_a_waiting_claim_is_woken_by_an_enqueue_elsewhere(
    settings: Settings, start_api: Start, db: Database
) -> None:
    here, there = await start_api(slow_polls(settings)), await start_api(settings)
    worker = await HttpWorker.register(here)
    claim = asyncio.create_task(worker.claim(wait=LONG))
    await storage.until(lambda: waiting(db))
    made = await enqueue(there)
    async with asyncio.timeout(SOON):
        [task] = await claim
    assert task["task_id"] == made.json["id"]
    await worker.end("complete", [task])


async def test_one_task_wakes_one_of_many_and_each_gets_one_of_as_many(
    settings: Settings, start_api: Start, store: Store
) -> None:
    http = await start_api(slow_polls(settings))
    workers = [await HttpWorker.register(http) for _ in range(20)]
    claims = [asyncio.create_task(each.claim(wait=LONG, limit=1)) for each in workers]
    await storage.until(lambda: waiting(store.db))
    await enqueue(http)
    done, pending = await asyncio.wait(claims, timeout=SOON, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(pending)) == (1, 19)
    for _ in pending:
        await enqueue(http)
    async with asyncio.timeout(SOON):
        got = await asyncio.gather(*claims)
    assert len({task["token"] for tasks in got for task in tasks}) == 20
    assert (await ledger.balance(store))["running"] == 20


async def test_a_worker_is_told_how_long_its_leases_are_and_how_often_to_extend_them(
    settings: Settings, start_api: Start
) -> None:
    body = {"name": "w", "queues": ["*"]}
    for lease, beat in ((30.0, 5.0), (3.0, 1.0)):
        http = await start_api(dataclasses.replace(settings, lease_seconds=lease))
        told = (await ask(http, "POST", "/api/workers", json=body)).json
        assert (told["lease_seconds"], told["heartbeat_seconds"]) == (lease, beat)


async def test_a_claim_that_finds_nothing_answers_when_its_wait_is_over(
    http: aiohttp.ClientSession,
) -> None:
    worker = await HttpWorker.register(http)
    loop = asyncio.get_running_loop()
    assert await worker.claim() == []
    began = loop.time()
    assert await worker.claim("unheard-of", wait=0.5) == []
    assert loop.time() - began >= 0.5


async def test_without_notifications_a_waiting_claim_polls(
    settings: Settings, start_api: Start
) -> None:
    deaf = dataclasses.replace(settings, database_pooler="transaction", poll_seconds=0.2)
    http = await start_api(deaf)
    await ask(http, "PUT", "/api/queues/default", json={})
    worker = await HttpWorker.register(http)
    claim = asyncio.create_task(worker.claim(wait=LONG))
    await enqueue(http)
    async with asyncio.timeout(SOON):
        assert len(await claim) == 1


async def test_a_client_that_goes_away_while_it_waits_leaves_its_tasks_to_others(
    settings: Settings, start_api: Start, store: Store
) -> None:
    http = await start_api(slow_polls(settings))
    gone, other = await HttpWorker.register(http), await HttpWorker.register(http)
    async with aiohttp.ClientSession(str(http._base_url)) as leaving:
        claim = asyncio.create_task(HttpWorker(leaving, gone.id).claim(wait=LONG))
        await storage.until(lambda: waiting(store.db))
        claim.cancel()
        await asyncio.gather(claim, return_exceptions=True)
    await enqueue(http)
    async with asyncio.timeout(SOON):
        [task] = await other.claim(wait=LONG)
    assert task["crash_count"] == task["retry_count"] == 0
    assert (await ledger.balance(store))["running"] == 1


async def test_tasks_claimed_for_a_client_that_leaves_in_that_moment_go_back_uncharged(
    settings: Settings, start_api: Start, store: Store
) -> None:
    http = await start_api(slow_polls(settings))
    gone, other = await HttpWorker.register(http), await HttpWorker.register(http)
    await storage.enqueue(store, 3)
    async with aiohttp.ClientSession(str(http._base_url)) as leaving:
        async with store.db.transaction() as session:
            await session.execute("LOCK TABLE tidemill.leases IN SHARE MODE")  # holds up the claim
            claim = asyncio.create_task(HttpWorker(leaving, gone.id).claim())
            await storage.until_blocked(store.db)
            claim.cancel()
            await asyncio.gather(claim, return_exceptions=True)
            await leaving.close()
            await ask(http, "GET", "/healthz")  # by then the server has seen it leave
        await storage.until(lambda: all_ready(store))
    assert await storage.count(store.db, "attempts WHERE outcome = 'released'") == 3
    tasks = await other.claim(wait=LONG)
    assert [task["attempt"] for task in tasks] == [1, 1, 1]
    await ledger.balance(store)


async def all_ready(store: Store) -> bool:
    """Whether they went back; before their claim they were ready as well."""
    return await storage.count(store.db, "attempts") == await storage.count(store.db, "ready") == 3


async def test_a_worker_that_is_to_end_gets_nothing_and_is_told(
    http: aiohttp.ClientSession, db: Database
) -> None:
    worker = await HttpWorker.register(http)
    await enqueue(http)
    await db.execute("UPDATE tidemill.workers SET draining = true")
    answer = await worker.ask_claim(wait=LONG)
    assert answer.json == {"tasks": [], "draining": True}
    assert (await worker.extend([]))["draining"] is True
    await db.execute("UPDATE tidemill.workers SET draining = false, cordoned = true")
    assert (await worker.ask_claim(wait=0.1)).json == {"tasks": [], "draining": False}
    await db.execute("UPDATE tidemill.workers SET cordoned = false")
    assert len(await worker.claim()) == 1


async def test_waiting_is_a_sign_of_life(
    settings: Settings, start_api: Start, db: Database
) -> None:
    http = await start_api(dataclasses.replace(settings, heartbeat_seconds=0.1))
    worker = await HttpWorker.register(http)
    claim = asyncio.create_task(worker.claim(wait=LONG))
    await storage.until(lambda: waiting(db))
    seen = "SELECT seen_at FROM tidemill.workers"
    first = await db.fetchval(seen)

    async def again() -> bool:
        return bool(await db.fetchval(seen) > first)

    await storage.until(again)
    await enqueue(http)
    async with asyncio.timeout(SOON):
        assert len(await claim) == 1


async def test_a_worker_that_signs_off_gives_back_what_it_holds_and_claims_no_more(
    http: aiohttp.ClientSession, store: Store
) -> None:
    worker, other = await HttpWorker.register(http), await HttpWorker.register(http)
    await enqueue(http)
    [task] = await worker.claim()
    assert (await ask(http, "DELETE", f"/api/workers/{worker.id}")).status == 204
    [again] = await other.claim(wait=LONG)
    assert (again["task_id"], again["attempt"]) == (task["task_id"], 1)
    assert await worker.end("complete", [task]) == [False]
    assert (await worker.ask_claim()).status == 404
    assert (await worker.extend([]))["registered"] is False
    assert (await ask(http, "DELETE", f"/api/workers/{worker.id}")).status == 404
    await ledger.balance(store)


async def test_what_a_lost_answer_claimed_goes_back_at_the_worker_s_word(
    http: aiohttp.ClientSession, store: Store
) -> None:
    worker, other = await HttpWorker.register(http), await HttpWorker.register(http)
    await storage.enqueue(store, 3)
    kept, *lost = await worker.claim()
    told = await worker.extend([kept], release_others=True)
    assert (told["leases"][0]["held"], told["released"]) == (True, 2)
    again = await other.claim(wait=LONG)
    assert {each["task_id"] for each in again} == {each["task_id"] for each in lost}
    assert {each["attempt"] for each in again} == {1}
    assert await worker.end("complete", [kept, *lost]) == [True, False, False]
    await enqueue(http)
    assert len(await worker.claim(wait=LONG)) == 1, "it may go on"
    await ledger.balance(store)


async def test_a_server_that_stops_answers_who_waits(settings: Settings, db: Database) -> None:
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(
            slow_polls(dataclasses.replace(settings, api_port=0)), stop=stop, ready=port.set_result
        )
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{await port}") as http:
        worker = await HttpWorker.register(http)
        claim = asyncio.create_task(worker.claim(wait=LONG))
        await storage.until(lambda: waiting(db))
        stop.set()
        async with asyncio.timeout(DRAIN_SECONDS - 5):
            assert await claim == []
    await serving


async def test_faults_are_named(settings: Settings, start_api: Start) -> None:
    http = await start_api(dataclasses.replace(settings, max_payload_bytes=1000))
    worker = await HttpWorker.register(http)
    nobody = HttpWorker(http, 2**62)
    assert (await nobody.ask_claim()).status == 404
    assert (await worker.ask_claim("no%20queue")).status == 404
    wrong: list[tuple[str, dict[str, Any], list[str]]] = [
        ("queues/q/claim?wait=61", {"worker_id": 1}, ["wait"]),
        ("queues/q/claim?wait=-1", {"worker_id": 1}, ["wait"]),
        ("queues/q/claim", {"worker_id": 0, "limit": 1001}, ["worker_id", "limit"]),
        ("queues/q/claim", {"worker_id": 1, "types": []}, ["types"]),
        ("workers", {"name": "", "slots": 0, "queues": ["?"]}, ["name", "slots", "queues[0]"]),
        ("leases/complete", {"leases": []}, ["leases"]),
        ("leases/complete", {"leases": [{"task_id": "x", "token": 0}]},
         ["leases[0].task_id", "leases[0].token"]),
        ("leases/snooze", {"leases": [{"task_id": NOBODY,
                                       "token": 1, "seconds": -1}]}, ["leases[0].seconds"]),
        ("leases/fail", {"leases": [{"task_id": NOBODY, "token": 1,
                                     "error": {"type": "E"}, "retry": False, "after": 1}]},
         ["leases[0].after"]),
    ]  # fmt: skip
    for path, body, fields in wrong:
        answer = await ask(http, "POST", f"/api/{path}", json=body)
        assert (answer.status, answer.fields) == (400, fields), (path, answer)
    big = [{"task_id": NOBODY, "token": 1, "result": "x" * 1000}]
    answer = await ask(http, "POST", "/api/leases/complete", json={"leases": big})
    assert (answer.status, answer.fields) == (413, ["leases[0].result"])
