"""A task that was enqueued for later says so ever after."""

from datetime import UTC, datetime, timedelta

from tidemill.db import Database
from tidemill.models import NewTask
from tidemill.states import Event, Status
from tidemill.store import Store


async def test_when_it_was_to_run_stays_known_after_promotion(store: Store, db: Database) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    (made,) = await store.tasks.enqueue([NewTask(type="later", run_at=due)])
    waiting = await store.tasks.history(made.id)
    await db.execute("UPDATE tidemill.scheduled SET run_at = now() - interval '1 s'")
    await store.upkeep.promote(10)

    task = await store.tasks.get(made.id)
    history = await store.tasks.history(made.id)

    assert [each.event_type for each in waiting] == [Event.TASK_SCHEDULED]
    assert task is not None
    assert (task.status, task.run_at) == (Status.QUEUED, due)
    assert [each.event_type for each in history] == [Event.TASK_SCHEDULED, Event.TASK_QUEUED]
    assert (history[0].run_at, history[1].created_at) == (due, due)
