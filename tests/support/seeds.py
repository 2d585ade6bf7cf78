"""A database with some of everything: queues and types of each kind, tasks in every state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.support import storage
from tidemill.models import NewTask, TaskType
from tidemill.schedules import NewSchedule
from tidemill.states import Outcome, Status
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings

OF_EACH = 5
QUEUE, FULL, OWNED, STRICT = "mail", "full", "owned", "strict"
TYPE, PAUSED_TYPE, GONE_TYPE, SCHEDULE = "resize", "report", "gone", "nightly"
_SCHEMA = {"type": "object", "properties": {"photo": {"type": "integer"}}, "required": ["photo"]}
LOSE_TYPE = f"""
CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER lose BEFORE INSERT ON tidemill.task_types
   FOR EACH ROW WHEN (NEW.name = '{GONE_TYPE}') EXECUTE FUNCTION public.lose();
"""
"""Lets a type be gone as soon as it is registered, as when somebody deletes it meanwhile."""

_ERROR = {"type": "ValueError", "message": "no such photo"}


@dataclass(frozen=True)
class Seeds:
    """What is there: tasks of each status, and the worker that holds the running ones."""

    tasks: Mapping[Status, Sequence[UUID]]
    worker_id: int


async def seed(store: Store) -> Seeds:
    """Fill an empty database."""
    await _names(store)
    worker = await storage.worker(store)
    made: dict[Status, Sequence[UUID]] = {}
    for status, outcome in (
        (Status.SUCCEEDED, Outcome.SUCCEEDED),
        (Status.FAILED, Outcome.FAILED),
        (Status.RUNNING, None),
    ):
        made[status] = await _enqueue(store)
        claimed = await storage.claim(store, worker, queues=[QUEUE], lease_seconds=3600.0)
        assert {each.id for each in claimed} == {*made[status]}
        if outcome is not None:
            await store.leases.finish(storage.ends(claimed, outcome, error=_ERROR))
    made[Status.CANCELLED] = await _enqueue(store)
    await store.acts.cancel(made[Status.CANCELLED])
    made[Status.SCHEDULED] = await _enqueue(store, delay_seconds=86_400.0)
    made[Status.QUEUED] = await _enqueue(store)
    return Seeds(made, worker.id)


async def _names(store: Store) -> None:
    await store.queues.put(QUEUE, {"max_retries": 5})
    await store.queues.put(STRICT, {"unknown_types": "reject"})
    await store.queues.put(FULL, {"max_depth": 1})
    await store.queues.configure(OWNED, QueueSettings(max_running=5), Owner("uid", "ns/owned"))
    await store.types.register(
        [TaskType(name=TYPE, schema=_SCHEMA, queue=QUEUE), TaskType(name=PAUSED_TYPE)], app="seeds"
    )
    await store.types.pause(PAUSED_TYPE)
    await store.schedules.put(NewSchedule(name=SCHEDULE, cron="0 3 * * *", type="t", queue=FULL))
    await store.tasks.enqueue([NewTask(type="t", queue=FULL)])


async def _enqueue(store: Store, **said: float) -> Sequence[UUID]:
    fields = {"type": TYPE, "queue": QUEUE, "payload": {"photo": 1}}
    return [made.id for made in await storage.enqueue(store, OF_EACH, **fields, **said)]
