"""Where a task's settings come from: itself, then its type, then its queue, then the system."""

from typing import Any

import pytest

from tests.support.worker import finished
from tidemill import App, Context, NewTask, RetryPolicy
from tidemill.client import Client
from tidemill.models import Task
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_worker import Worker

POLICIES = [RetryPolicy(policy="fixed", base_seconds=float(n)) for n in (1, 2, 3)]

# field, its default, and three values: the queue's, the type's, the task's own
FIELDS: list[tuple[str, Any, list[Any]]] = [
    ("priority", 0, [1, 2, 3]),
    ("max_retries", 3, [1, 2, 0]),
    ("timeout_seconds", 300.0, [10.0, 20.0, 0.5]),
    ("retry", None, POLICIES),
]


def shown(stored: Task, field: str) -> Any:
    value = getattr(stored, field)
    return RetryPolicy.from_json(value) if isinstance(value, dict) else value


@pytest.mark.parametrize(("field", "default", "values"), FIELDS, ids=[each[0] for each in FIELDS])
async def test_a_task_s_own_setting_comes_before_its_type_s_its_queue_s_and_the_default(
    store: Store, client: Client, field: str, default: Any, values: list[Any]
) -> None:
    app, (of_queue, of_type, own) = App(), values

    @app.task
    async def bare() -> None: ...

    @app.task(**{field: of_type})
    async def typed() -> None: ...

    await store.types.register(app.types(), app="tests")
    await store.queues.put("set", {field: of_queue})
    tasks = {
        "default": NewTask(type="bare"),
        "queue": NewTask(type="bare", queue="set"),
        "type": NewTask(type="typed", queue="set"),
        "type, by the SDK": app.tasks["typed"].using(queue="set").new(),
        "task": NewTask(type="typed", queue="set", **{field: own}),
        "task, by the SDK": app.tasks["typed"].using(queue="set", **{field: own}).new(),
    }
    stored = await client.enqueue_many(list(tasks.values()))
    kept = [await each.task() for each in stored]
    got = {name: shown(each, field) for name, each in zip(tasks, kept, strict=True)}
    assert got == {
        "default": default,
        "queue": of_queue,
        "type": of_type,
        "type, by the SDK": of_type,
        "task": own,
        "task, by the SDK": own,
    }


async def test_the_queue_is_the_task_s_own_then_its_type_s_then_default(
    store: Store, client: Client
) -> None:
    app = App()

    @app.task(queue="of_type")
    async def typed() -> None: ...

    await store.types.register(app.types(), app="tests")
    stored = await client.enqueue_many(
        [NewTask(type="x"), NewTask(type="typed"), NewTask(type="typed", queue="own")]
    )
    assert [each.queue for each in stored] == ["default", "of_type", "own"]


async def test_a_worker_obeys_what_the_queue_says(
    app: App, settings: Settings, store: Store, client: Client
) -> None:
    @app.task
    async def task(context: Context) -> list[float]:
        return [context.timeout_seconds, context.max_retries]

    await store.queues.put("set", {"timeout_seconds": 12.5, "max_retries": 7})
    async with Worker(app, settings=settings):
        stored = await client.enqueue(app.tasks["task"].using(queue="set").new())
        assert (await finished(store, stored.id)).result == [12.5, 7]
