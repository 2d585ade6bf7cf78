"""The database goes away in the middle of work, and comes back."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM

from tests.support import postgres
from tests.support.waiting import until
from tests.support.worker import eventually
from tests.support.worker_process import traced, worker_process
from tidemill import App, NewTask
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.local.postgres import EmbeddedPostgres
from tidemill_worker import Worker


async def prepared(server: EmbeddedPostgres) -> Settings:
    settings = postgres.settings_of(server.url("postgres"))
    database = Database.of(settings, application="tests")
    await migrate(database)
    await database.close()
    return settings


async def test_outcomes_survive_a_restart_of_the_database(
    private_server: EmbeddedPostgres,
) -> None:
    app, runs = App(), Counter[int]()
    database_is_away = asyncio.Event()

    @app.task
    async def task(n: int) -> int:
        runs[n] += 1
        if n < 10:
            await database_is_away.wait()
        return n

    prepared_settings = await prepared(private_server)
    # no lease ends while the database is away, however long it takes to come back
    settings = replace(prepared_settings, heartbeat_seconds=0.5, lease_seconds=300.0)
    database = Database.of(settings, application="tests")
    store = Store.of(database)
    await store.tasks.enqueue([NewTask(type="task", payload={"n": n}) for n in range(10)])
    async with Worker(app, settings=settings) as worker:
        await eventually(lambda: worker.running == 10)
        await asyncio.to_thread(private_server.crash)
        database_is_away.set()  # all ten finish now, with nobody to tell
        await eventually(lambda: worker.running == 0)
        assert worker.leases == 10
        await eventually(lambda: not worker.claiming)
        await asyncio.to_thread(private_server.start)
        await eventually(lambda: worker.leases == 0, seconds=60)
        await store.tasks.enqueue([NewTask(type="task", payload={"n": 10})])
        await eventually(lambda: runs[10] == 1, seconds=60)
        await eventually(lambda: worker.leases == 0)
    recorded = await database.fetch(
        "SELECT outcome, count(*), count(DISTINCT task_id) FROM tidemill.attempts GROUP BY 1"
    )
    await database.close()
    assert [tuple(row) for row in recorded] == [("succeeded", 11, 11)]
    assert set(runs.values()) == {1}


async def test_cut_sessions_in_the_middle_of_a_stream_lose_and_repeat_nothing(
    server: postgres.Server, settings: Settings, database_url: str
) -> None:
    app, runs = App(), Counter[int]()

    @app.task
    async def task(n: int) -> None:
        runs[n] += 1
        await asyncio.sleep(0.001)

    database = Database.of(settings, application="tests")
    store = Store.of(database)
    count = 3000
    await store.tasks.enqueue([NewTask(type="task", payload={"n": n}) for n in range(count)])
    name = database_url.rpartition("/")[2]
    async with Worker(app, settings=replace(settings, heartbeat_seconds=0.5)) as worker:
        for share in (1, 2, 3):
            await eventually(lambda share=share: len(runs) >= share * count // 4, seconds=60)  # type: ignore[misc] # a default binds the value
            await asyncio.to_thread(server.cut, name)
        await eventually(lambda: len(runs) == count and worker.leases == 0, seconds=60)
    await database.close()
    database = Database.of(settings, application="tests")  # none of the sessions that were cut
    left = await database.fetchval(
        "SELECT (SELECT count(*) FROM tidemill.ready) + (SELECT count(*) FROM tidemill.leases)"
    )
    succeeded = await database.fetchrow(
        "SELECT count(*), count(DISTINCT task_id) FROM tidemill.attempts"
        " WHERE outcome = 'succeeded'"
    )
    charged = await database.fetchval(
        "SELECT count(*) FROM tidemill.attempts WHERE outcome IN ('lease_expired', 'retry')"
    )
    await database.close()
    assert left == 0
    assert tuple(succeeded or ()) == (count, count)
    assert charged == 0


async def test_a_worker_told_to_stop_while_the_database_is_away_ends_in_time(
    private_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    settings = replace(await prepared(private_server), drain_seconds=1.0)
    database = Database.of(settings, application="tests")
    await Store.of(database).tasks.enqueue([NewTask(type="work", payload={"n": 1, "seconds": 0.5})])
    await database.close()
    trace = tmp_path / "trace"

    def stop_without_a_database() -> tuple[int, str]:
        with worker_process(settings, trace) as worker:
            until(lambda: traced(trace)["start 1"] == 1, seconds=60, what="the task runs")
            private_server.crash()
            until(lambda: traced(trace)["end 1"] == 1, seconds=60, what="the task ends")
            worker.signal(SIGTERM)
            return worker.wait(), worker.log()

    code, log = await asyncio.to_thread(stop_without_a_database)
    assert code == 1
    assert "1 not recorded" in log
