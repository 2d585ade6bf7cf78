"""The bytes of bodies in hand: refused past the budget, never queued, held until recorded."""

import asyncio
import gzip
import io
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import storage
from tests.support.api_process import api_process
from tests.support.http import Answer, ask
from tests.support.raw_http import Reply, exchange
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.endings import Ended, EndingStore, Recorded
from tidemill_api import reading
from tidemill_api.budget import BodyBudget

PATH = "/api/tasks/batch"
NDJSON = {"Content-Type": "application/x-ndjson"}
MIB = 1024 * 1024
OVERLOADED = "urn:tidemill:problem:overloaded"


def mebibyte(type_name: str = "t") -> bytes:
    line = json.dumps({"type": type_name, "payload": "x" * 10_000}).encode() + b"\n"
    return line * (MIB // len(line))


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[BodyBudget]:
    """The budgets of the servers that start now, of 8 MiB each."""
    made: list[BodyBudget] = []
    start = BodyBudget.__init__

    def noted(self: BodyBudget) -> None:
        start(self, 8 * MIB)
        made.append(self)

    monkeypatch.setattr(BodyBudget, "__init__", noted)
    monkeypatch.setattr(reading, "BODY_SECONDS", 600.0)
    return made


@pytest.fixture
async def small(
    bodies: list[BodyBudget], start_api: Start, settings: Settings
) -> aiohttp.ClientSession:
    """A client of an API that holds 8 MiB of bodies."""
    assert not bodies
    return await start_api(settings)


async def post(http: aiohttp.ClientSession, data: Any, **headers: str) -> Answer:
    return await ask(http, "POST", PATH, data=data, headers={**NDJSON, **headers})


class Slow:
    """A batch that is sent but for its last line."""

    def __init__(self, http: aiohttp.ClientSession, data: bytes, **headers: str) -> None:
        self._data = data
        self._rest = asyncio.Event()
        self.answer = asyncio.create_task(post(http, self._pieces(), **headers))

    async def end(self) -> Answer:
        """Send the rest, and return the answer."""
        self._rest.set()
        return await self.answer

    async def _pieces(self) -> AsyncIterator[bytes]:
        middle = len(self._data) - 10
        yield self._data[:middle]
        await self._rest.wait()
        yield self._data[middle:]


async def until_free(bodies: list[BodyBudget], most: int) -> None:
    """Wait until no more than so many bytes are free."""

    async def taken() -> bool:
        return bodies[0].free <= most

    await storage.until(taken)


async def announce(http: aiohttp.ClientSession, size: int) -> Reply:
    """Announce a batch of `size` bytes, send a few, and return the answer."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
    sent = f"{head}Content-Length: {size}\r\n\r\n".encode() + b" " * 1000
    [reply] = await exchange(http, sent)
    return reply


async def test_a_flood_of_large_bodies_is_refused_and_those_in_hand_are_stored(
    small: aiohttp.ClientSession, bodies: list[BodyBudget], db: Database
) -> None:
    data = mebibyte()
    slow = [Slow(small, data, **{"Content-Length": str(len(data))}) for _ in range(8)]
    await until_free(bodies, 8 * (MIB - len(data)))
    flood = await asyncio.gather(*(announce(small, MIB) for _ in range(300)))
    assert Counter(reply.status for reply in flood) == {503: 300}
    assert {json.loads(reply.body)["type"] for reply in flood} == {OVERLOADED}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in flood)
    assert await storage.count(db, "tasks") == 0
    answers = [await each.end() for each in slow]
    assert {answer.status for answer in answers} == {201}
    assert await storage.count(db, "tasks") == 8 * data.count(b"\n")
    assert bodies[0].free == 8 * MIB


async def test_a_body_of_unknown_size_is_held_as_it_grows(
    small: aiohttp.ClientSession, bodies: list[BodyBudget], db: Database
) -> None:
    """Compressed, or in chunks, it takes what it has come to, and no more than is there."""
    packed = gzip.compress(mebibyte() * 6)
    for size in (len(packed), 0):
        given = {"Content-Length": str(size)} if size else {}
        slow = Slow(small, packed, **{"Content-Encoding": "gzip"}, **given)
        await until_free(bodies, 3 * MIB)
        assert (await announce(small, 3 * MIB)).status == 503
        assert (await post(small, mebibyte())).status == 201
        refused = await post(small, packed, **{"Content-Encoding": "gzip"})
        assert refused.status == 503
        assert (await slow.end()).status == 201
        assert bodies[0].free == 8 * MIB
    assert await storage.count(db, "tasks") == 14 * mebibyte().count(b"\n")


async def test_reports_are_held_until_they_are_recorded(
    small: aiohttp.ClientSession,
    bodies: list[BodyBudget],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_record, go_on, record = asyncio.Event(), asyncio.Event(), EndingStore.record

    async def late(self: EndingStore, ends: Sequence[Ended]) -> Recorded:
        at_record.set()
        await go_on.wait()
        return await record(self, ends)

    monkeypatch.setattr(EndingStore, "record", late)
    await storage.enqueue(store)
    [task] = await storage.claim(store, await storage.worker(store))
    lease = {"task_id": str(task.id), "token": task.lease.token, "result": "x" * 900_000}
    others = [{**lease, "task_id": str(uuid4())} for _ in range(4)]
    report = io.BytesIO(json.dumps({"leases": [lease, *others]}).encode())
    kind = {"Content-Type": "application/json"}
    asked = ask(small, "POST", "/api/leases/complete", data=report, headers=kind)
    reporting = asyncio.create_task(asked)
    await at_record.wait()
    assert bodies[0].free < 4 * MIB
    assert (await announce(small, 5 * MIB)).status == 503
    go_on.set()
    held = [each["held"] for each in (await reporting).json["leases"]]
    assert held == [True, False, False, False, False]
    assert bodies[0].free == 8 * MIB


def api_of_this_test() -> int:
    """Return the id of the API process that this process has started."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            parent = (each / "stat").read_text().rpartition(")")[2].split()[1]
            command = (each / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if int(parent) == os.getpid() and b"tidemill_cli" in command:
            return int(each.name)
    raise AssertionError("no API process was started here")


def peak_mebibytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.mark.timeout(600)
async def test_the_largest_batch_takes_little_more_memory_than_its_bytes(
    settings: Settings, db: Database
) -> None:
    """Measured: 77 MiB, where parsing it in one go took 321."""
    line = json.dumps({"type": "t", "payload": {"x": ["y" * 30] * 180}}).encode() + b"\n"
    data = line * 10_000
    assert 55 * MIB < len(data) < 64 * MIB
    async with api_process(settings) as http:
        process = api_of_this_test()
        before = peak_mebibytes(process)
        answer = await post(http, io.BytesIO(data))
        assert (answer.status, answer.json["created"]) == (201, 10_000)
        assert peak_mebibytes(process) - before < 160
    assert await storage.count(db, "tasks") == 10_000
