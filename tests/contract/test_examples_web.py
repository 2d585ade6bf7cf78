"""examples/fastapi_shop.py and django_shop.py: producers in web services, each with a worker."""

import json
from typing import Any

from tests.support import examples, ledger, logins
from tidemill.db import Database
from tidemill.store import Store

FASTAPI = """
import asyncio, json
import httpx
from examples.fastapi_shop import web

async def main():
    transport = httpx.ASGITransport(web)
    async with (
        web.router.lifespan_context(web),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as shop,
    ):
        order = {"to": "ada@example.com", "cents": 500}
        key = {"Idempotency-Key": "k1"}
        placed = await shop.post("/orders", json=order, headers=key)
        again = await shop.post("/orders", json=order, headers=key)
        other = await shop.post("/orders", json={**order, "cents": 600}, headers=key)
        seen = {}
        while seen.get("status") not in ("succeeded", "failed", "cancelled"):
            await asyncio.sleep(0.05)
            seen = (await shop.get(f"/orders/{placed.json()['task']}")).json()
        nobody = await shop.get("/orders/00000000-0000-7000-8000-000000000000")
    print(json.dumps({
        "placed": [placed.status_code, placed.json()],
        "again": [again.status_code, again.json()],
        "other": other.status_code,
        "seen": seen,
        "nobody": nobody.status_code,
    }))

asyncio.run(asyncio.wait_for(main(), 80))
"""
DJANGO = """
import json, time
from examples import django_shop
from django.test import Client

shop = Client()
placed = shop.post("/orders", {"customer": "ada", "cents": 500})
refused = shop.post("/orders", {"customer": "bob", "cents": 0})
order = placed.json()["order"]
for _ in range(1200):
    seen = shop.get(f"/orders/{order}").json()
    if seen["receipt"]:
        break
    time.sleep(0.05)
nobody = shop.get("/orders/77")
print(json.dumps({
    "placed": placed.status_code,
    "refused": [refused.status_code, refused.json()],
    "seen": seen,
    "nobody": nobody.status_code,
}))
django_shop.connection.close()
"""


def told(url: str, program: str) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(examples.run(url, "-c", program))
    return answers


async def test_a_fastapi_service_enqueues_once_a_key(database_url: str, store: Store) -> None:
    with examples.worker(database_url, "examples.fastapi_shop:app"):
        answers = told(database_url, FASTAPI)
    task = answers["placed"][1]["task"]
    assert answers["placed"] == [202, {"task": task, "new": True}]
    assert answers["again"] == [202, {"task": task, "new": False}]
    assert (answers["other"], answers["nobody"]) == (409, 404)
    assert answers["seen"] == {
        "status": "succeeded",
        "result": "receipt of 5.00 sent to ada@example.com",
        "progress": None,
    }
    assert (await ledger.balance(store))["succeeded"] == 1


async def test_a_django_view_enqueues_with_its_models_or_not_at_all(
    database_url: str, store: Store, db: Database
) -> None:
    async with logins.login(db, database_url, "tidemill_producer") as (user, url):
        await db.execute(f"GRANT CREATE ON SCHEMA public TO {user}")
        assert examples.run(url, "-m", "examples.django_shop", "init") == "ready\n"
        with examples.worker(database_url, "examples.django_shop:app"):
            answers = told(url, DJANGO)
        assert answers == {
            "placed": 201,
            "refused": [400, {"error": "an order must cost something"}],
            "seen": {"customer": "ada", "cents": 500, "receipt": "ada pays 5.00"},
            "nobody": 404,
        }
        assert await db.fetchval("SELECT count(*) FROM shop_order") == 1
    counts = await ledger.balance(store)
    assert (counts["succeeded"], sum(counts.values())) == (1, 1)
