"""A task whose type a worker lacks: what the database remembers of it decides."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.support import doctor, ledger
from tests.support.worker import eventually_async, finished
from tidemill import App, NewTask, Retry
from tidemill.client import Client
from tidemill.doctor import Level
from tidemill.models import TaskType
from tidemill.settings import Settings
from tidemill.states import Event, Status
from tidemill.store import Store
from tidemill.store.strangers import StrangerStore
from tidemill_worker import Worker, metrics


@pytest.fixture
def other(app: App) -> App:
    @app.task
    async def another() -> None: ...

    return app


async def returned(store: Store, task_id: UUID, times: int) -> None:
    """Wait until the task has gone back `times` times; make it run again at once in between."""

    async def so_often() -> bool:
        # in one statement: one that is made due though it has gone back often enough goes again
        await store.db.execute(
            "UPDATE tidemill.scheduled SET run_at = now() - interval '1 s' WHERE (SELECT count(*)"
            " FROM tidemill.attempts WHERE task_id = $1 AND outcome = 'snoozed') < $2",
            task_id,
            times,
        )
        history = await store.tasks.history(task_id)
        return sum(event.event_type is Event.TASK_SNOOZED for event in history) == times

    await eventually_async(so_often)


async def has_gone_back(store: Store, task_id: UUID) -> bool:
    """Whether a worker without its type has sent the task back."""
    history = await store.tasks.history(task_id)
    return any(event.event_type is Event.TASK_SNOOZED for event in history)


async def age(store: Store, task_id: UUID, by: timedelta) -> None:
    """Make the task, and what happened to it so far, older."""
    await store.db.execute(
        "UPDATE tidemill.tasks SET created_at = created_at - $2::interval WHERE id = $1",
        task_id,
        by,
    )
    await store.db.execute(
        "UPDATE tidemill.attempts SET finished_at = finished_at - $2::interval WHERE task_id = $1",
        task_id,
        by,
    )


async def test_an_unknown_type_goes_back_uncharged_ever_later_and_is_counted(
    other: App, settings: Settings, store: Store, client: Client
) -> None:
    counted = metrics.UNKNOWN_TYPES.labels("elsewhere")._value
    before = counted.get()
    async with Worker(other, settings=settings):
        stored = await client.enqueue(NewTask(type="elsewhere"))
        await returned(store, stored.id, 4)
    assert counted.get() == before + 4
    task = await client.get(stored.id)
    assert (task.status, task.retry_count) == (Status.SCHEDULED, 0)
    rows = await store.db.fetch(
        "SELECT extract(epoch FROM run_at - finished_at)::float AS delay, started_at,"
        " error ->> 'type' AS error FROM tidemill.attempts ORDER BY token"
    )
    assert [(row["error"], row["started_at"]) for row in rows] == [("UnknownType", None)] * 4
    for row, least in zip(rows, (1, 2, 4, 8), strict=True):
        assert least <= row["delay"] <= 2 * least
    await ledger.balance(store)


async def test_after_an_hour_of_returns_the_task_is_a_dead_letter_whichever_worker_it_is(
    other: App, settings: Settings, store: Store, client: Client
) -> None:
    stored = await client.enqueue(NewTask(type="elsewhere", max_retries=5))
    async with Worker(other, settings=settings):
        await returned(store, stored.id, 2)
    await age(store, stored.id, timedelta(minutes=59))
    async with Worker(other, settings=settings):
        await returned(store, stored.id, 3)
    await age(store, stored.id, timedelta(minutes=1))
    async with Worker(other, settings=settings):
        await store.db.execute("UPDATE tidemill.scheduled SET run_at = now() - interval '1 s'")
        task = await finished(store, stored.id)
    assert (task.status, task.retry_count) == (Status.FAILED, 0)
    assert task.last_error is not None
    assert task.last_error["type"] == "UnknownType"
    assert await store.db.fetchval("SELECT error_type FROM tidemill.dead_letters") == "UnknownType"
    await ledger.balance(store)


async def test_a_run_in_between_starts_the_hour_anew(
    other: App, settings: Settings, store: Store, client: Client
) -> None:
    knowing = App()

    @knowing.task
    async def elsewhere() -> None:
        raise Retry("not now", after=3600)

    stored = await client.enqueue(NewTask(type="elsewhere"))
    async with Worker(other, settings=settings):
        await returned(store, stored.id, 1)
    await age(store, stored.id, timedelta(hours=2))
    async with Worker(knowing, settings=settings):
        await store.db.execute("UPDATE tidemill.scheduled SET run_at = now() - interval '1 s'")

        async def has_run() -> bool:
            return (await client.get(stored.id)).retry_count == 1

        await eventually_async(has_run)
    created = (await client.get(stored.id)).created_at
    memory = StrangerStore(store.db)
    assert await memory.returns([stored.id], created) == {}
    async with Worker(other, settings=settings):
        await returned(store, stored.id, 2)
    known = await memory.returns([stored.id], created)
    assert known[stored.id].times == 1
    assert known[stored.id].seconds < 60


async def test_the_doctor_tells_which_type_no_worker_has_and_what_to_do(
    other: App, settings: Settings, store: Store, client: Client
) -> None:
    assert await doctor.well(settings, "types")
    stored = await client.enqueue(NewTask(type="elsewhere", queue="mail"))
    async with Worker(other, settings=settings):
        await eventually_async(lambda: has_gone_back(store, stored.id))
    found = await doctor.one(settings, "types")
    assert found.level is Level.NOTE  # it may be a deploy
    assert "1 task of the type elsewhere waits in mail" in found.finding
    assert found.advice.startswith("no app has registered this type")
    await age(store, stored.id, timedelta(minutes=5))
    await store.types.register([TaskType(name="elsewhere")], app="shop:app")
    found = await doctor.one(settings, "types")
    assert found.level is Level.WARNING
    assert "tidemill worker shop:app" in found.advice
    assert found.figures["tasks"] == 1
    assert found.figures["times"] >= 1
