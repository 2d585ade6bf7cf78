"""/api/schedules: every endpoint, every fault, and that a schedule fires where an API runs."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres
from tests.support.http import Answer, ask, until
from tests.support.schedules import hourly, pass_time
from tidemill.db import Database
from tidemill.models import TaskType
from tidemill.schedules import SCHEDULE_HEADER, SLOT_HEADER
from tidemill.store import Store

PATH = "/api/schedules/nightly"
LATER = "0 0 1 1 *"
MINIMAL = {"cron": LATER, "type": "t"}
FULL: dict[str, Any] = {
    "cron": "30 2 * * MON-FRI",
    "time_zone": "Europe/Rome",
    "type": "report",
    "payload": {"to": ["ann", None]},
    "queue": "reports",
    "priority": "high",
    "max_retries": 1,
    "timeout_seconds": 60,
    "retry": {"policy": "fixed", "base_seconds": 5},
    "headers": {"traceparent": "00-1"},
    "missed": "skip",
    "ends_at": "2190-01-01T00:00:00+01:00",
    "paused": True,
}


async def put(http: aiohttp.ClientSession, path: str = PATH, **said: Any) -> Answer:
    return await ask(http, "PUT", path, json=MINIMAL | said)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_schedule_is_created_read_replaced_listed_and_deleted(
    http: aiohttp.ClientSession,
) -> None:
    made = await ask(http, "PUT", PATH, json=FULL)
    assert made.status == 201
    shown = made.json
    assert {name: shown[name] for name in FULL} == FULL | {
        "priority": 100,
        "timeout_seconds": 60.0,
        "retry": {"policy": "fixed", "base_seconds": 5.0},
        "ends_at": "2189-12-31T23:00:00Z",
    }
    assert shown["name"] == "nightly"
    assert moment(shown["next_slot"]) > datetime.now(UTC)
    empty = {name: shown[name] for name in ("last_slot", "last_error", "last_error_at", "app")}
    assert empty == dict.fromkeys(empty)
    assert (await ask(http, "GET", PATH)).json == shown

    replaced = await put(http)
    assert replaced.status == 200
    assert replaced.json["queue"] is None  # PUT says it all, but for the pause
    assert replaced.json["paused"] is True
    assert (await put(http, paused=False)).json["paused"] is False

    await put(http, "/api/schedules/a")
    listed = (await ask(http, "GET", "/api/schedules")).json["schedules"]
    assert [each["name"] for each in listed] == ["a", "nightly"]

    gone = await ask(http, "DELETE", PATH)
    assert (gone.status, gone.body) == (204, b"")
    assert (await ask(http, "GET", PATH)).status == 404


async def test_pause_and_resume(http: aiohttp.ClientSession) -> None:
    await put(http)
    for _ in range(2):
        paused = await ask(http, "POST", f"{PATH}/pause")
        assert (paused.status, paused.json["paused"]) == (200, True)
    for _ in range(2):
        resumed = await ask(http, "POST", f"{PATH}/resume", json={})
        assert (resumed.status, resumed.json["paused"]) == (200, False)


async def test_run_makes_a_task_each_time(http: aiohttp.ClientSession) -> None:
    await put(http, payload=[1], queue="q", paused=True)
    first, second = [await ask(http, "POST", f"{PATH}/run") for _ in range(2)]
    assert (first.status, second.status) == (201, 201)
    assert first.json["id"] != second.json["id"]
    task = await ask(http, "GET", first.headers["Location"])
    assert task.json == first.json
    assert (task.json["name"], task.json["payload"], task.json["queue"]) == ("nightly", [1], "q")
    assert task.json["headers"] == {SCHEDULE_HEADER: "nightly"}


async def test_slots_to_come_and_slots_that_fired(
    http: aiohttp.ClientSession, db: Database
) -> None:
    await put(http, cron=hourly())
    answer = await ask(http, "GET", f"{PATH}/slots?count=3")
    coming = [moment(text) for text in answer.json["upcoming"]]
    assert [each - coming[0] for each in coming] == [timedelta(hours=n) for n in range(3)]
    assert answer.json["fired"] == []
    assert len((await ask(http, "GET", f"{PATH}/slots")).json["upcoming"]) == 10

    await pass_time(db)

    async def fired() -> bool:
        return bool((await ask(http, "GET", f"{PATH}/slots")).json["fired"])

    await until(fired)  # by the API process's own duty
    (slot,) = (await ask(http, "GET", f"{PATH}/slots?count=1")).json["fired"]
    task = (await ask(http, "GET", f"/api/tasks/{slot['task_id']}")).json
    assert task["headers"][SLOT_HEADER] == slot["slot"]
    shown = (await ask(http, "GET", PATH)).json
    assert (shown["last_slot"], shown["last_error"]) == (slot["slot"], None)


async def test_two_servers_fire_a_slot_once(
    start_api: Start, database_url: str, db: Database
) -> None:
    often = postgres.settings_of(database_url, schedule_seconds=0.01)
    one, two = await start_api(often), await start_api(often)
    await asyncio.gather(
        *(
            put(each, f"/api/schedules/s{n}", cron=hourly())
            for each in (one, two)
            for n in range(20)
        )
    )
    await pass_time(db)

    async def all_fired() -> bool:
        return bool(await db.fetchval("SELECT count(*) >= 20 FROM tidemill.schedule_slots"))

    await until(all_fired)
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 20


async def test_a_slot_that_cannot_fire_says_why(
    start_api: Start, database_url: str, db: Database
) -> None:
    strict = await start_api(postgres.settings_of(database_url, unknown_types="reject"))
    await Store.of(db).types.register([TaskType(name="t")], app="a:b")
    await put(strict, cron=hourly())
    await db.execute("DELETE FROM tidemill.task_types")
    await pass_time(db)

    async def told() -> bool:
        return (await ask(strict, "GET", PATH)).json["last_error"] is not None

    await until(told)
    shown = (await ask(strict, "GET", PATH)).json
    assert "not a registered task type" in shown["last_error"]
    assert shown["last_error_at"] is not None
    assert moment(shown["next_slot"]) > datetime.now(UTC)


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"cron": None}, "cron"),
    ({"cron": ""}, "cron"),
    ({"cron": "* * * *"}, "cron"),
    ({"cron": "0 0 30 2 *"}, "cron"),
    ({"cron": "@reboot"}, "cron"),
    ({"cron": 5}, "cron"),
    ({"cron": "1," * 200}, "cron"),
    ({"time_zone": "Rome"}, "time_zone"),
    ({"time_zone": "../etc/passwd"}, "time_zone"),
    ({"time_zone": "localtime"}, "time_zone"),
    ({"time_zone": 2}, "time_zone"),
    ({"type": None}, "type"),
    ({"type": "has space"}, "type"),
    ({"queue": "a/b"}, "queue"),
    ({"priority": "urgent"}, "priority"),
    ({"max_retries": -1}, "max_retries"),
    ({"timeout_seconds": 0}, "timeout_seconds"),
    ({"retry": {"policy": "list"}}, "retry.delays_seconds"),
    ({"headers": {"a": 1}}, "headers.a"),
    ({"missed": "all"}, "missed"),
    ({"ends_at": "2030-01-01T00:00:00"}, "ends_at"),
    ({"paused": "no"}, "paused"),
    ({"colour": "red"}, "colour"),
    ({"name": "other"}, "name"),
    ({"payload": "nul\0"}, "payload"),
]


async def test_a_fault_is_named_with_its_place(http: aiohttp.ClientSession) -> None:
    for said, place in FAULTS:
        answer = await put(http, **said)
        assert (answer.status, answer.fields) == (400, [place]), said
    assert (await ask(http, "PUT", PATH, json={})).fields == ["cron", "type"]
    both = await put(http, cron="x", time_zone="y")
    assert both.fields == ["cron", "time_zone"]
    assert both.json["faults"][1]["value"] == "y"
    assert (await ask(http, "GET", "/api/schedules")).json == {"schedules": []}


@pytest.mark.parametrize("name", ["a/b", "a b", "é", "n" * 201, "-a", "a\0b"])
async def test_a_name_that_cannot_be(http: aiohttp.ClientSession, name: str) -> None:
    path = f"/api/schedules/{quote(name, safe='')}"
    answer = await put(http, path)
    assert (answer.status, answer.fields) == (400, ["name"])
    for method, act in (("GET", ""), ("DELETE", ""), ("POST", "/run"), ("GET", "/slots")):
        assert (await ask(http, method, path + act)).status == 404


async def test_what_is_not_there_is_404(http: aiohttp.ClientSession) -> None:
    for method, act in (
        *(("GET", ""), ("DELETE", ""), ("GET", "/slots")),
        *(("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")),
    ):
        answer = await ask(http, method, PATH + act)
        assert (answer.status, answer.json["type"]) == (404, "urn:tidemill:problem:not-found")
        assert "nightly" in answer.json["detail"]


async def test_acts_take_no_body_and_slots_a_count(http: aiohttp.ClientSession) -> None:
    await put(http)
    for act in ("pause", "resume", "run"):
        answer = await ask(http, "POST", f"{PATH}/{act}", json={"now": True})
        assert (answer.status, answer.fields) == (400, ["body"])
    assert (await ask(http, "DELETE", PATH, json=[1])).status == 400
    for query in ("count=0", "count=101", "count=x", "count=", "count=1&count=2"):
        answer = await ask(http, "GET", f"{PATH}/slots?{query}")
        assert (answer.status, answer.fields) == (400, ["count"]), query
    assert (await ask(http, "GET", f"{PATH}/slots?size=1")).fields == ["size"]


async def test_what_every_slot_would_be_refused_for_is_refused_now(
    start_api: Start, database_url: str, db: Database
) -> None:
    small = postgres.settings_of(database_url, unknown_types="reject", max_payload_bytes=100)
    http = await start_api(small)
    schema = {"type": "object", "required": ["to"]}
    await Store.of(db).types.register([TaskType(name="mail", schema=schema)], app="a:b")
    unknown = await put(http, type="mial")
    assert (unknown.status, unknown.fields) == (400, ["type"])
    unfit = await put(http, type="mail", payload={})
    assert (unfit.status, unfit.fields) == (400, ["payload.to"])
    large = await put(http, type="mail", payload={"to": "x" * 100})
    assert (large.status, large.fields) == (413, ["payload"])
    assert (await put(http, type="mail", payload={"to": "ann"})).status == 201


async def test_run_says_why_there_is_no_task(http: aiohttp.ClientSession, db: Database) -> None:
    await put(http, queue="full")
    await db.execute("INSERT INTO tidemill.queues (name, max_depth) VALUES ('full', 1)")
    assert (await ask(http, "POST", f"{PATH}/run")).status == 201
    full = await ask(http, "POST", f"{PATH}/run")
    assert (full.status, full.json["type"]) == (429, "urn:tidemill:problem:queue-full")
