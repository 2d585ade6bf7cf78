"""What dead workers had in hand is taken back by a living one as soon as it is told so."""

from dataclasses import replace

from tests.support import storage
from tests.support.worker import eventually_async, finished
from tidemill import App, NewTask, sql
from tidemill.client import Client
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill_worker import Worker


async def test_a_living_worker_takes_back_expired_leases_when_it_is_told_not_at_its_next_look(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def task() -> None: ...

    seldom = replace(settings, recover_seconds=600.0)
    async with Worker(app, settings=seldom) as living:
        await finished(store, (await client.enqueue(NewTask(type="task"))).id)
        await store.db.execute("UPDATE tidemill.workers SET cordoned = true")
        stored = await client.enqueue(NewTask(type="task"))
        dead = await storage.worker(store, name="dead")
        await storage.claim(store, dead, 1, lease_seconds=3600)
        assert await store.marks.bury([dead.id], term=1) == 1
        await store.db.execute("UPDATE tidemill.workers SET cordoned = false")

        async def recovered() -> bool:
            # Told again each time: a listener that was only just connecting missed the first.
            await store.db.execute(sql.load("recover_notify"))
            held = "SELECT count(*) = 0 FROM tidemill.leases WHERE worker_id = $1"
            return bool(await store.db.fetchval(held, dead.id))

        await eventually_async(recovered)
        task_now = await finished(store, stored.id)
    assert (task_now.status, task_now.retry_count) == (Status.SUCCEEDED, 1)
    assert living.identity.id != dead.id
