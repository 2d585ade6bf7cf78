"""The same key adds no work: alone, in a storm, and with another payload."""

import asyncio

import aiohttp
import pytest

from tests.support.http import ask, enqueue
from tidemill.db import Database


async def test_the_second_of_a_key_is_answered_by_the_first(
    http: aiohttp.ClientSession, db: Database
) -> None:
    first = await enqueue(http, idempotency_key="k", payload={"a": 1, "b": 2})
    second = await enqueue(http, idempotency_key="k", payload={"b": 2, "a": 1})
    assert (first.status, second.status) == (201, 200)
    assert second.json == first.json
    assert second.headers["Location"] == first.headers["Location"]
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 1


async def test_the_header_is_the_field(http: aiohttp.ClientSession) -> None:
    body = {"type": "t"}
    headers = {"Idempotency-Key": "from-the-header"}
    first = await ask(http, "POST", "/api/tasks", json=body, headers=headers)
    assert first.status == 201
    assert first.json["idempotency_key"] == "from-the-header"
    again = await enqueue(http, idempotency_key="from-the-header")
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    both = await ask(
        http,
        "POST",
        "/api/tasks",
        json=body | {"idempotency_key": "from-the-header"},
        headers=headers,
    )
    assert both.status == 200


@pytest.mark.parametrize("key", ["", "k" * 256, "other"])
async def test_a_header_that_breaks_the_rules(http: aiohttp.ClientSession, key: str) -> None:
    body = {"type": "t", "idempotency_key": "mine"} if key == "other" else {"type": "t"}
    answer = await ask(http, "POST", "/api/tasks", json=body, headers={"Idempotency-Key": key})
    assert answer.status == 400


async def test_another_payload_or_type_is_a_conflict(http: aiohttp.ClientSession) -> None:
    first = await enqueue(http, idempotency_key="k", payload=1)
    for other in ({"payload": 2}, {"payload": 1, "type": "u"}):
        answer = await enqueue(http, idempotency_key="k", **other)
        assert answer.status == 409
        assert answer.json["type"] == "urn:tidemill:problem:idempotency-conflict"
        assert first.json["id"] in answer.json["detail"]


async def test_the_same_key_in_another_queue_is_another_task(http: aiohttp.ClientSession) -> None:
    assert (await enqueue(http, idempotency_key="k", queue="a")).status == 201
    assert (await enqueue(http, idempotency_key="k", queue="b")).status == 201


async def test_fifty_at_once_with_one_key_are_one_task(
    http: aiohttp.ClientSession, db: Database
) -> None:
    answers = await asyncio.gather(*(enqueue(http, idempotency_key="one") for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] * 49 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 1


async def test_in_a_shared_insert_only_the_conflicting_tasks_are_refused(
    http: aiohttp.ClientSession, db: Database
) -> None:
    for n in range(5):
        assert (await enqueue(http, idempotency_key=f"taken-{n}", payload="first")).status == 201
    good = [enqueue(http, idempotency_key=f"new-{n}", payload="x") for n in range(40)]
    bad = [enqueue(http, idempotency_key=f"taken-{n}", payload="other") for n in range(5)]
    mixed = [call for pair in zip(good[:5], bad, strict=True) for call in pair] + good[5:]
    answers = await asyncio.gather(*mixed)
    statuses = [answer.status for answer in answers]
    assert statuses == [201, 409] * 5 + [201] * 35
    for answer in answers:
        if answer.status == 409:
            assert answer.json["detail"].startswith("idempotency_key:")
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 45


async def test_a_key_held_by_an_open_transaction_holds_up_nobody_else(
    http: aiohttp.ClientSession, db: Database
) -> None:
    await enqueue(http, idempotency_key="warm")
    async with db.transaction() as held:
        await held.fetch("SELECT tidemill.enqueue('t', '{}', idempotency_key => 'held')")
        stuck = asyncio.create_task(enqueue(http, idempotency_key="held"))
        others = [enqueue(http, idempotency_key=f"free-{n}") for n in range(20)]
        answers = await asyncio.gather(*others)
        answer = await stuck
    assert {other.status for other in answers} == {201}
    assert answer.status == 503
    assert (await enqueue(http, idempotency_key="held")).status == 200
