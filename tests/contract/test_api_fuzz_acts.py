"""Odd bodies, queries, names and methods on every route but the enqueues: never a 5xx."""

import asyncio
import json
import random
import sys
from collections import Counter
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest

from tests.contract.test_api_fuzz import AT_ONCE, BYTES, ODD, SEED
from tests.support import storage
from tests.support.http import Answer, ask, enqueue
from tidemill.store import Store
from tidemill_api.endpoints import Endpoint
from tidemill_api.routes import ENDPOINTS

REQUESTS = 1200
FILTER: dict[str, Any] = {
    "queue": "q", "type": "t", "status": "queued", "priority": "low", "error_type": "E",
    "created_after": "2030-01-01T00:00:00Z", "created_before": "2190-01-01T00:00:00Z",
}  # fmt: skip
VALID: dict[str, Any] = {
    "filter": FILTER, "all": False, "dry_run": True, "limit": 10, "after": None, "priority": 1,
    "queue": "q", "max_retries": 1, "timeout_seconds": 1.5, "lease_seconds": 5, "max_depth": 9,
    "max_running": 2, "rate_limit": {"tasks": 1, "seconds": 1}, "unknown_types": "accept",
    "starvation_seconds": 5, "retention": {"failed_seconds": 9}, "schema": {"type": "object"},
    "retry": {"policy": "fixed"}, "description": "d", "cron": "* * * * *", "time_zone": "UTC",
    "type": "t", "payload": {}, "missed": "once", "name": "n",
    "worker_id": 1, "types": ["t"], "slots": 1, "queues": ["q"], "release_others": True,
    "leases": [{"task_id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12, "token": 1}],
}  # fmt: skip
NAMES = ["n", "q", "default", "\0", "é", "a/b", "..", "x" * 300, "%", "'; DROP", "{name}", " "]
PLACES = {"ready": "queued", "scheduled": "scheduled", "leases": "running"}
ROUTES = [each for each in ENDPOINTS if each.path.startswith("/api/")]


def odd_body(dice: random.Random) -> bytes:
    body = {name: VALID[name] for name in dice.sample(sorted(VALID), dice.randint(0, 6))}
    if dice.random() < 0.7:
        body["filter"] = {**FILTER}
        for name in dice.sample(sorted(FILTER), dice.randint(0, 7)):
            body["filter"].pop(name)
        if dice.random() < 0.5:
            body["filter"][dice.choice([*FILTER, "x"])] = dice.choice(ODD)
    for _ in range(dice.randint(0, 2)):
        body[dice.choice([*VALID, "x", ""])] = dice.choice(ODD)
    data = json.dumps(body).encode()
    if dice.random() < 0.2:
        place = dice.randrange(len(data))
        data = data[:place] + dice.choice(BYTES) + data[place + dice.randint(0, 3) :]
    return data


def odd_query(dice: random.Random) -> str:
    names = [
        "wait",
        "status",
        "queue",
        "type",
        "name",
        "limit",
        "cursor",
        "error_type",
        "count",
        "x",
        "",
    ]
    values = ["queued", "q", "1", "0", "-1", "9" * 30, "1.5", "\0", "é", "", "x" * 5000, "null"]
    values += ["0" * 8 + "-0000-0000-0000-" + "0" * 12, "1.00000000-0000-0000-0000-000000000000"]
    pairs = [(dice.choice(names), dice.choice(values)) for _ in range(dice.randint(0, 3))]
    return urlencode(pairs) + dice.choice(["", "", "&", "%00", "%ff", ";", "=="])


def odd_path(route: Endpoint, ids: list[str], dice: random.Random) -> str:
    name = quote(dice.choice(NAMES), safe=dice.choice(["", "/"]))
    task = dice.choice([*ids, "none", "%00", quote("é"), "0" * 36])
    return route.path.replace("{name}", name).replace("{id}", task)


async def send(http: aiohttp.ClientSession, ids: list[str], dice: random.Random) -> Answer:
    route = dice.choice(ROUTES)
    path = odd_path(route, ids, dice)
    if dice.random() < 0.5 and route.method == "GET":
        path += f"?{odd_query(dice)}"
    options: dict[str, Any] = {}
    if route.bodies or dice.random() < 0.1:
        options = {"data": odd_body(dice), "headers": {"Content-Type": "application/json"}}
    method = route.method if dice.random() < 0.95 else dice.choice(["PUT", "DELETE", "PATCH"])
    return await ask(http, method, path, **options)


@pytest.mark.timeout(300)
async def test_no_act_makes_a_server_error_or_loses_count(
    http: aiohttp.ClientSession, store: Store
) -> None:
    dice = random.Random(SEED)
    ids = [(await enqueue(http, queue="q")).json["id"] for _ in range(20)]
    ids += [(await enqueue(http, queue="q", delay_seconds=600)).json["id"] for _ in range(20)]
    worker = await storage.worker(store)
    await storage.claim(store, worker, limit=10)
    seen: Counter[int] = Counter()
    for _ in range(REQUESTS // AT_ONCE):
        calls = [send(http, ids, random.Random(dice.random())) for _ in range(AT_ONCE)]
        for answer in await asyncio.gather(*calls):
            seen[answer.status] += 1
            assert answer.status < 500, answer
    # shown with -s: the figures that a release report quotes
    sys.stdout.write(f"fuzz: {seen.total()} requests, answers: {dict(sorted(seen.items()))}\n")
    for status in (200, 400, 404, 409):
        assert seen[status], status
    rows = await store.db.fetch("SELECT status FROM tidemill.task_status")
    live = Counter(row["status"] for row in rows)
    held = {name: await storage.count(store.db, table) for table, name in PLACES.items()}
    assert held == {name: live[name] for name in held}
    assert (await enqueue(http)).status == 201
