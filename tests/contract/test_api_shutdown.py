"""The end of a real `tidemill api`: what it accepted is answered and stored, and then it ends."""

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.support import api_fleet
from tests.support.api_fleet import Running
from tests.support.http import ask, enqueue, until
from tests.support.wire import Wire, get, post, wire_to
from tidemill.db import Database
from tidemill.settings import Settings

BODY = post("/api/tasks", {"type": "t", "queue": "halves"})


HOLD = """
    CREATE TABLE public.held (); INSERT INTO public.held DEFAULT VALUES;
    CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        WHILE EXISTS (SELECT FROM public.held) LOOP PERFORM pg_sleep(0.02); END LOOP;
        RETURN NULL;
    END $$;
    CREATE TRIGGER hold BEFORE INSERT ON tidemill.tasks EXECUTE FUNCTION public.hold()"""
HELD = """SELECT count(*) > 0 FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event = 'PgSleep'"""


async def hold_inserts_up(db: Database) -> None:
    """Have inserts of tasks wait until `let_go`: not for a lock, which they give up after 2 s."""
    await db.execute(HOLD)


async def let_go(db: Database) -> None:
    await db.execute("DELETE FROM public.held")


async def inserts_wait(db: Database) -> bool:
    return bool(await db.fetchval(HELD))


async def all_read(found: Running) -> None:
    """Return when what was sent on other connections before has been read: one loop reads it."""
    for _ in range(2):
        await ask(found.client, "GET", "/healthz")


async def refuses(found: Running) -> bool:
    try:
        async with found.client.get("/healthz"):
            return False
    except aiohttp.ClientConnectorError:
        return True


async def stopping(found: Running) -> bool:
    return bool(found.told("stopping"))


async def test_what_is_in_hand_at_sigterm_is_answered_and_stored(
    settings: Settings, db: Database
) -> None:
    async with AsyncExitStack() as stack:
        slow = {"TIDEMILL_DATABASE_STATEMENT_SECONDS": "600"}
        found = await stack.enter_async_context(api_fleet.running(settings, **slow))

        async def wire(data: bytes) -> Wire:
            opened = await stack.enter_async_context(wire_to(found.port))
            opened.send(data)
            return opened

        waited = (await enqueue(found.client, queue="q")).json["id"]
        named = {"name": "w", "queues": ["*"]}
        worker = (await ask(found.client, "POST", "/api/workers", json=named)).json["worker_id"]
        await ask(found.client, "PUT", "/api/queues/empty", json={})
        claim = {"worker_id": worker, "limit": 1}
        poll = await wire(post("/api/queues/empty/claim?wait=60", claim))
        wait = await wire(get(f"/api/tasks/{waited}?wait=60"))
        events = await wire(get("/api/events"))
        assert b" 200 " in await events.head()
        idle = await wire(get("/healthz"))
        assert (await idle.reply()).status == 200
        await hold_inserts_up(db)
        singles = [await wire(post("/api/tasks", {"type": "t"})) for _ in range(10)]
        batch = await wire(post("/api/tasks/batch", [{"type": "t"}] * 100))
        half = await wire(BODY[:-5])
        await until(lambda: inserts_wait(db))
        await all_read(found)
        found.process.send_signal(signal.SIGTERM)
        await until(lambda: stopping(found))
        half.send(BODY[-5:])
        await until(lambda: refuses(found))
        assert found.process.returncode is None
        await let_go(db)
        assert await idle.ended()
        answers = [await poll.reply(), await wait.reply()]
        assert json.loads(answers[0].body)["tasks"] == []
        assert json.loads(answers[1].body)["status"] == "queued"
        answers += [await each.reply() for each in (*singles, batch, half)]
        assert [each.status for each in answers] == [200] * 2 + [201] * 12
        assert {each.headers.get("Connection") for each in answers} == {"close"}
        await events.rest()
        assert await found.ended() == 0
    assert await db.fetchval("SELECT count(*) FROM tidemill.tasks") == 1 + 10 + 100 + 1


async def test_while_it_drains_it_is_not_ready_and_each_answer_closes_its_connection(
    settings: Settings,
) -> None:
    delay = {"TIDEMILL_API_DRAIN_DELAY_SECONDS": "300", "TIDEMILL_MAX_PAYLOAD_BYTES": "100"}
    async with api_fleet.running(settings, **delay) as found, wire_to(found.port) as early:
        early.send(get("/healthz"))
        assert "Connection" not in (await early.reply()).headers
        found.process.send_signal(signal.SIGTERM)
        await until(lambda: stopping(found))
        assert (await ask(found.client, "GET", "/readyz")).status == 503
        early.send(post("/api/tasks", {"type": "t"}))
        assert (await early.reply()).headers["Connection"] == "close"
        assert await early.ended()
        huge = f"POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: {10**9}\r\n"
        for request, status in (
            (post("/api/tasks", {"type": "t"}), 201),
            (post("/api/tasks", {"type": 5}), 400),
            (huge.encode() + b"Content-Type: application/json\r\n\r\n{", 413),
            (get("/api/tasks"), 200),
        ):
            async with wire_to(found.port) as late:
                late.send(request)
                answer = await late.reply()
                assert (answer.status, answer.headers["Connection"]) == (status, "close")
                assert await late.ended()
        await hurried(found)


async def hurried(found: Running) -> None:
    """Tell it again until it ends; signals that come together are one."""
    while found.process.returncode is None:
        found.process.send_signal(signal.SIGTERM)
        await asyncio.wait((asyncio.ensure_future(found.ended()),), timeout=1.0)
    assert found.process.returncode == 0, found.lines


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_second_signal_ends_it_whatever_holds_up_what_is_in_hand(
    settings: Settings, db: Database, processes: str
) -> None:
    slow = {"TIDEMILL_DATABASE_STATEMENT_SECONDS": "600", "TIDEMILL_API_PROCESSES": processes}
    async with api_fleet.running(settings, **slow) as found, wire_to(found.port) as wire:
        await hold_inserts_up(db)
        wire.send(post("/api/tasks", {"type": "t"}))
        await until(lambda: inserts_wait(db))
        found.process.send_signal(signal.SIGTERM)
        await until(lambda: stopping(found))
        await hurried(found)
        assert await wire.ended()


async def test_the_port_of_several_processes_closes_with_the_last(settings: Settings) -> None:
    several = {"TIDEMILL_API_PROCESSES": "2", "TIDEMILL_API_DRAIN_DELAY_SECONDS": "2"}
    async with api_fleet.running(settings, **several) as found:
        found.process.send_signal(signal.SIGTERM)
        await until(lambda: refuses(found))
        assert await found.ended() == 0


async def test_a_frozen_child_does_not_keep_its_parent_from_ending(settings: Settings) -> None:
    async with api_fleet.running(settings, TIDEMILL_API_PROCESSES="2") as found:
        frozen = found.children()[0]
        os.kill(frozen, signal.SIGSTOP)
        found.process.send_signal(signal.SIGTERM)
        await until(lambda: stopping(found))
        while found.process.returncode is None:
            found.process.send_signal(signal.SIGTERM)
            await asyncio.wait((asyncio.ensure_future(found.ended()),), timeout=1.0)
        assert found.process.returncode == 1
        assert not found.children()
