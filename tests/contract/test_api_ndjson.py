"""NDJSON batches: how they may be written, what is told of a line, and parts that are one batch."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.contract.conftest import Start
from tests.support import postgres, storage
from tests.support.http import Answer, ask, enqueue, post_raw
from tidemill.db import Database
from tidemill.store import Store

PATH = "/api/tasks/batch"
NDJSON = "application/x-ndjson"
PARTS = 2500
"""Tasks: more than go in one statement."""


def lines(*tasks: Any) -> bytes:
    return b"".join(json.dumps(task).encode() + b"\n" for task in tasks)


async def post(http: aiohttp.ClientSession, data: bytes) -> Answer:
    return await post_raw(http, data, PATH, NDJSON)


TWO: list[dict[str, Any]] = [{"type": "a", "payload": "é"}, {"type": "b", "payload": {"n": 1}}]
WRITTEN = {
    "without a last line feed": lines(*TWO).rstrip(b"\n"),
    "with blank lines": b"\n\n" + lines(TWO[0]) + b" \t\n\n" + lines(TWO[1]) + b"\n\n",
    "CRLF": lines(*TWO).replace(b"\n", b"\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + lines(*TWO),
    "a byte order mark alone": b"\xef\xbb\xbf\n" + lines(*TWO),
    "characters as they are": json.dumps(TWO[0], ensure_ascii=False).encode()
    + b"\n"
    + lines(TWO[1]),
}


async def test_lines_may_be_written_in_each_of_the_usual_ways(http: aiohttp.ClientSession) -> None:
    for notation, data in WRITTEN.items():
        answer = await post(http, data)
        assert answer.status == 201, notation
        entries = answer.json["tasks"]
        assert [entry["type"] for entry in entries] == ["a", "b"], notation
        for entry, task in zip(entries, TWO, strict=True):
            read = await ask(http, "GET", f"/api/tasks/{entry['id']}")
            assert read.json["payload"] == task["payload"], notation


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_lines_may_arrive_in_pieces_of_any_size(http: aiohttp.ClientSession) -> None:
    plain = lines(*({"type": "t", "payload": {"n": n, "x": "€" * 5}} for n in range(40)))
    for encoding, data in (("identity", plain), ("gzip", gzip.compress(plain))):
        for size in (1, 7, 1000):
            headers = {"Content-Type": NDJSON, "Content-Encoding": encoding}
            answer = await ask(http, "POST", PATH, data=pieces(data, size), headers=headers)
            assert (answer.status, answer.json["created"]) == (201, 40), (encoding, size)
            last = await ask(http, "GET", f"/api/tasks/{answer.json['tasks'][39]['id']}")
            assert last.json["payload"] == {"n": 39, "x": "€" * 5}


async def test_faults_name_the_task_its_field_and_its_line(
    http: aiohttp.ClientSession, db: Database
) -> None:
    rows = [b'{"type": "t"}', b"", b'{"type": 3}', b'{"type":\r', b"[NaN]", b'{"a": 1, "a": 2}']
    answer = await post(http, b"\n".join(rows))
    assert answer.status == 400
    assert answer.json["type"] == "urn:tidemill:problem:malformed-json"
    told = [(fault["field"], fault["rule"]) for fault in answer.json["faults"]]
    assert told == [
        ("tasks[1].type", "must be text (line 3)"),
        ("tasks[2]", "must be JSON (Expecting value at line 4 column 10)"),
        ("tasks[3]", "must not contain NaN: it is not JSON (line 5)"),
        ("tasks[4]", 'must not have the key "a" twice in one object (line 6)'),
    ]
    assert await storage.count(db, "tasks") == 0


async def test_a_hundred_faults_are_told_and_no_more(http: aiohttp.ClientSession) -> None:
    answer = await post(http, lines(*({"type": n} for n in range(500))))
    assert answer.status == 400
    assert answer.fields == [f"tasks[{n}].type" for n in range(100)]


async def test_a_fault_in_the_last_line_of_many_stores_nothing(
    http: aiohttp.ClientSession, db: Database
) -> None:
    tasks: list[Any] = [{"type": "t", "payload": n} for n in range(10_000)]
    tasks[9_998] = {"type": "t", "priority": 1.5}
    answer = await post(http, lines(*tasks))
    assert (answer.status, answer.fields) == (400, ["tasks[9998].priority"])
    assert answer.json["faults"][0]["rule"].endswith("(line 9999)")
    assert await storage.count(db, "tasks") == 0


async def test_parts_are_one_batch_in_its_order(http: aiohttp.ClientSession, db: Database) -> None:
    tasks = [{"type": f"t{n % 7}", "payload": n} for n in range(PARTS)]
    for data, kind in ((lines(*tasks), NDJSON), (json.dumps(tasks).encode(), "application/json")):
        answer = await post_raw(http, data, PATH, kind)
        assert (answer.status, answer.json["created"]) == (201, PARTS)
        entries = answer.json["tasks"]
        assert [entry["type"] for entry in entries] == [task["type"] for task in tasks]
        stored = await db.fetch("SELECT id, payload FROM tidemill.tasks")
        payloads = {str(row["id"]): json.loads(row["payload"]) for row in stored}
        assert [payloads[entry["id"]] for entry in entries] == list(range(PARTS))
        transactions = await db.fetchval(
            "SELECT count(DISTINCT xmin::text) FROM tidemill.tasks WHERE id = ANY ($1)",
            [entry["id"] for entry in entries],
        )
        assert transactions == 1


async def test_a_key_twice_in_a_batch_is_one_task_also_in_two_parts(
    http: aiohttp.ClientSession, db: Database
) -> None:
    tasks: list[dict[str, Any]] = [{"type": "t", "payload": n} for n in range(PARTS)]
    for place in (5, 7, PARTS - 1):
        tasks[place] = {"type": "t", "payload": "same", "idempotency_key": "k"}
    answer = await post(http, lines(*tasks))
    assert (answer.status, answer.json["existing"]) == (201, 2)
    entries = answer.json["tasks"]
    assert entries[5]["id"] == entries[7]["id"] == entries[-1]["id"]
    assert await storage.count(db, "tasks") == PARTS - 2


async def test_a_conflict_in_a_later_part_refuses_all_and_names_its_line(
    http: aiohttp.ClientSession, db: Database
) -> None:
    assert (await enqueue(http, idempotency_key="k", payload=1)).status == 201
    tasks: list[dict[str, Any]] = [{"type": "t"} for _ in range(PARTS)]
    tasks[2222] = {"type": "t", "idempotency_key": "k", "payload": 2}
    answer = await post(http, b"\n" + lines(*tasks))
    assert answer.status == 409
    assert answer.json["detail"].startswith("tasks[2222].idempotency_key")
    assert answer.json["detail"].endswith("(line 2224)")
    assert await storage.count(db, "tasks") == 1


async def test_a_queue_that_a_later_part_overfills_takes_nothing(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await ask(http, "PUT", "/api/queues/q", json={"max_depth": PARTS - 1})
    tasks = [{"type": "t", "queue": "q"}] * PARTS
    refused = await post(http, lines(*tasks))
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert await storage.count(store.db, "tasks") == 0
    assert (await post(http, lines(*tasks[1:]))).status == 201


async def test_what_the_database_and_a_schema_refuse_names_the_line(
    start_api: Start, database_url: str, db: Database
) -> None:
    settings = postgres.settings_of(database_url, unknown_types="reject")
    http = await start_api(settings)
    schema = {"type": "object", "required": ["to"]}
    assert (await ask(http, "PUT", "/api/task-types/t", json={"schema": schema})).status == 201
    good = {"type": "t", "payload": {"to": 1}}
    for bad, field in (({"type": "t"}, "payload"), ({"type": "u"}, "type")):
        answer = await post(http, lines(*[good] * 1500, bad, good))
        assert answer.status == 400
        assert answer.fields[0].startswith(f"tasks[1500].{field}")
        assert answer.json["faults"][0]["rule"].endswith("(line 1501)")
    assert await storage.count(db, "tasks") == 0


async def test_nothing_but_blank_lines_is_no_batch(http: aiohttp.ClientSession) -> None:
    for data in (b"", b"\n", b"\r\n \n\n", b"\xef\xbb\xbf"):
        answer = await post(http, data)
        assert (answer.status, answer.fields) == (400, ["tasks"])
