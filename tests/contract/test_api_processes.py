"""`tidemill api --processes N`: one port, several processes, one parent that keeps them."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.support import api_fleet
from tests.support.api_fleet import Running
from tests.support.handler_processes import lives
from tests.support.http import ask, enqueue, until
from tests.support.metric_lint import faults
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill_cli.local.postgres import HOST, free_port


@pytest.fixture
async def pair(settings: Settings) -> AsyncIterator[Running]:
    """An API of two processes."""
    async with api_fleet.running(settings, TIDEMILL_API_PROCESSES="2") as found:
        await until(partial(all_serve, found))
        yield found


async def all_serve(found: Running) -> bool:
    assert found.process.returncode is None, found.lines
    return bool(found.told("2 processes serve it"))


async def test_both_serve_and_a_scrape_of_either_sees_all(pair: Running, db: Database) -> None:
    for _ in range(20):
        answers = await asyncio.gather(*(enqueue(pair.client) for _ in range(20)))
        assert {each.status for each in answers} == {201}
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 400
    await until(partial(has_counted, pair, 400))
    for _ in range(10):  # whichever of the two answers
        assert await has_counted(pair, 400)
    gauges = await api_fleet.samples(pair.client, "tidemill_queue_ready")
    assert [labels for labels, _ in gauges] == [{"queue": "default"}]
    assert not await api_fleet.samples(pair.client, "process_resident_memory_bytes")
    async with pair.client.get("/metrics") as response:
        assert faults(await response.text()) == []


async def has_counted(found: Running, tasks: int) -> bool:
    """Whether a scrape tells of so many enqueues, in all processes together."""
    counted = await api_fleet.samples(found.client, "tidemill_api_enqueued_tasks_total")
    return [value for _, value in counted] == [tasks]


async def test_a_killed_child_is_replaced_and_nothing_counted_is_forgotten(pair: Running) -> None:
    assert {(await enqueue(pair.client)).status for _ in range(20)} == {201}
    for victim in pair.children():
        os.kill(victim, signal.SIGKILL)
        await until(partial(replaced, pair, victim))
    await until(partial(both_told, pair))
    assert {(await enqueue(pair.client)).status for _ in range(20)} == {201}
    await until(partial(has_counted, pair, 40))


async def both_told(found: Running) -> bool:
    return len(found.told("was killed by SIGKILL; starting another in")) == 2


async def replaced(found: Running, gone: int) -> bool:
    assert found.process.returncode is None, found.lines
    return gone not in found.children() and len(found.children()) == 2


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_parent_ends_all_of_them(
    pair: Running, which: signal.Signals
) -> None:
    children = pair.children()
    pair.process.send_signal(which)
    assert await pair.ended() == 0
    assert not [pid for pid in children if lives(pid)]


async def test_children_of_a_killed_parent_end(pair: Running) -> None:
    children = pair.children()
    pair.process.kill()
    await pair.ended()

    async def gone() -> bool:
        return not [pid for pid in children if lives(pid)]

    await until(gone)


async def test_a_long_poll_is_woken_whichever_process_has_it(pair: Running) -> None:
    made = (await enqueue(pair.client, queue="q")).json
    polls = [
        asyncio.create_task(ask(pair.client, "GET", f"/api/tasks/{made['id']}?wait=60"))
        for _ in range(8)
    ]
    await asyncio.gather(*(ask(pair.client, "GET", "/healthz") for _ in range(8)))
    cancelled = await ask(pair.client, "POST", f"/api/tasks/{made['id']}/cancel")
    assert cancelled.status == 200
    assert {(await poll).json["status"] for poll in polls} == {"cancelled"}


async def test_what_keeps_a_child_from_starting_is_said_once(
    settings: Settings, empty_database_url: str
) -> None:
    cases = (
        ({"TIDEMILL_TOKENS": "{"}, 2, "TIDEMILL_TOKENS"),
        ({"TIDEMILL_CORS_ORIGINS": "nonsense"}, 2, "TIDEMILL_CORS_ORIGINS"),
        ({"TIDEMILL_DATABASE_URL": empty_database_url}, 4, "tidemill migrate"),
        ({"TIDEMILL_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}, 3, "127.0.0.1:1"),
    )
    for more, code, words in cases:
        many = {"TIDEMILL_API_PROCESSES": "3", "TIDEMILL_DATABASE_WAIT_SECONDS": "0.3"}
        process = await api_fleet.start(settings, free_port(), **many, **more)
        async with asyncio.timeout(api_fleet.END_SECONDS):
            _, told = await process.communicate()
        assert process.returncode == code, told
        assert [words in line for line in told.decode().splitlines() if "tidemill:" in line] == [
            True
        ], told


async def test_a_port_in_use_ends_it(settings: Settings) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        process = await api_fleet.start(settings, port, TIDEMILL_API_PROCESSES="2")
        async with asyncio.timeout(api_fleet.END_SECONDS):
            _, told = await process.communicate()
    assert process.returncode == 2
    assert f"{HOST}:{port} is in use by another process" in told.decode()
