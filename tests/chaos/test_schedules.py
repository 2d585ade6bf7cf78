"""Schedules while servers crash and processes are killed: each slot is one task."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL
from typing import TypeVar

import pytest

from tests.support import postgres, storage
from tests.support.schedules import HOUR, fired, pass_time, put, settled
from tests.support.worker_process import worker_process
from tidemill.connecting import Connector
from tidemill.db import Database, Session
from tidemill.errors import DatabaseUnavailable
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.local.postgres import EmbeddedPostgres

T = TypeVar("T")


class Gate(Database):
    """Stands still when all of a transaction is done but its commit."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(Connector(settings, application="tests"), 2)
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def retrying(self, act: Callable[[Session], Awaitable[T]]) -> T:
        async def gated(session: Session) -> T:
            done = await act(session)
            self.reached.set()
            await self.open.wait()
            return done

        return await super().retrying(gated)


@pytest.mark.parametrize("end", ["crash", "stop"])
async def test_a_restart_of_postgres_in_the_middle_of_firing_fires_nothing_twice(
    private_server: EmbeddedPostgres, end: str
) -> None:
    settings = postgres.settings_of(private_server.url("postgres"))
    db, gate = Database.of(settings, application="tests"), Gate(settings)
    await migrate(db)
    store = Store.of(db)
    for n in range(20):
        await put(store, f"s{n}")
    await pass_time(db)

    firing = asyncio.create_task(Store.of(gate).schedules.fire(100))
    await gate.reached.wait()
    assert (await store.schedules.fire(100)).schedules == 0  # they are in other hands
    await asyncio.to_thread(getattr(private_server, end))
    gate.open.set()
    with pytest.raises(DatabaseUnavailable):
        await firing

    await asyncio.to_thread(private_server.start)
    await gate.close()
    assert await settled(store) == {}
    done = [await store.schedules.fire(100) for _ in range(2)]
    assert [each.tasks for each in done] == [20, 0]
    assert await settled(store) == {f"s{n}": 1 for n in range(20)}
    await db.close()


@pytest.mark.timeout(300)
async def test_processes_killed_while_they_fire_leave_no_slot_out_and_repeat_none(
    store: Store, db: Database, settings: Settings, tmp_path: Path
) -> None:
    schedules, rounds = 300, 4
    for n in range(schedules):
        await put(store, f"s{n}", type="work", payload={"n": n, "seconds": 0})
    often = {"TIDEMILL_SCHEDULE_SECONDS": "0.01", "TIDEMILL_CONCURRENCY": "2"}

    async def all_fired() -> bool:
        return await fired(db) == {f"s{n}": turn for n in range(schedules)}

    async def some_fired() -> bool:
        return (await fired(db)).total() > schedules * (turn - 1)

    with ExitStack() as stack:
        # one that lives, and for each round one that is killed in it
        workers = [
            stack.enter_context(worker_process(settings, tmp_path / "trace", **often))
            for _ in range(rounds + 1)
        ]
        for turn in range(1, rounds + 1):
            await pass_time(db, HOUR)
            await storage.until(some_fired)
            workers[turn].signal(SIGKILL)
            await storage.until(all_fired)
    counts = await fired(db)
    assert counts == {f"s{n}": rounds for n in range(schedules)}
