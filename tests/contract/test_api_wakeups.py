"""Acts that make tasks claimable wake the workers of their queues."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support import storage
from tests.support.http import ask
from tidemill.db import connect
from tidemill.models import NewTask, TaskType
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer


@pytest.fixture
async def heard(settings: Settings) -> AsyncIterator[list[str]]:
    """The queues that hints were sent for."""
    queues: list[str] = []
    connection = await connect(settings, application="listens", direct=True)
    await connection.add_listener("tidemill", lambda *said: queues.append(str(said[-1])))
    yield queues
    await connection.close()


async def until_heard(heard: list[str], *queues: str) -> None:
    async def told() -> bool:
        return set(heard) >= set(queues)

    await storage.until(told)


async def failed(store: Store, queue: str) -> str:
    await storage.enqueue(store, queue=queue)
    claimed = await storage.claim(store, await storage.worker(store), queues=[queue])
    await store.leases.finish(storage.ends(claimed, Outcome.FAILED))
    return str(claimed[0].id)


async def test_retry_of_one_task(
    http: aiohttp.ClientSession, store: Store, heard: list[str]
) -> None:
    (later,) = await storage.enqueue(store, queue="later", delay_seconds=600)
    await ask(http, "POST", f"/api/tasks/{later.id}/retry")
    await until_heard(heard, "later")
    dead = await failed(store, "dead")
    await ask(http, "POST", f"/api/tasks/{dead}/retry")
    await until_heard(heard, "dead")
    again = await failed(store, "again")
    await ask(http, "POST", f"/api/dead-letters/{again}/replay")
    await until_heard(heard, "again")


@pytest.mark.parametrize(
    ("path", "queues"),
    [
        ("/api/tasks/retry", ("p", "q", "dead")),
        ("/api/tasks/move", ("elsewhere",)),
        ("/api/dead-letters/replay", ("dead",)),
    ],
)
async def test_acts_by_filter(
    http: aiohttp.ClientSession,
    store: Store,
    heard: list[str],
    path: str,
    queues: tuple[str, ...],
) -> None:
    await failed(store, "dead")
    later = [NewTask(type="t", queue=queue, delay_seconds=600) for queue in ("p", "q")]
    await store.tasks.enqueue([*later, NewTask(type="t", queue="now")])
    body: dict[str, Any] = {"filter": {}, "all": True}
    if path.endswith("move"):
        body["queue"] = "elsewhere"
    answer = await ask(http, "POST", path, json=body)
    assert answer.json["changed"] >= 1
    await until_heard(heard, *queues)


async def test_resume_of_a_queue(
    http: aiohttp.ClientSession, store: Store, heard: list[str]
) -> None:
    await storage.enqueue(store, queue="q")
    await store.queues.pause("q")
    await ask(http, "POST", "/api/queues/q/resume")
    await until_heard(heard, "q")


async def test_a_change_of_a_queue_that_may_have_lifted_a_limit(
    http: aiohttp.ClientSession, store: Store, heard: list[str]
) -> None:
    await store.queues.put("q", {"max_running": 1})
    await ask(http, "PUT", "/api/queues/q", json={"max_running": None})
    await until_heard(heard, "q")


async def test_resume_of_a_type_brings_back_what_was_set_aside(
    http: aiohttp.ClientSession, store: Store, heard: list[str]
) -> None:
    await store.types.register([TaskType(name="t")], app="a")
    await storage.enqueue(store, queue="q")
    assert (await ask(http, "POST", "/api/task-types/t/pause")).json["paused"] is True
    worker = await storage.worker(store)
    claimer = Claimer(store, worker, queues=None, lease_seconds=30)
    assert await claimer.claim(10) == []  # set aside
    answer = await ask(http, "POST", "/api/task-types/t/resume")
    assert (answer.status, answer.json["paused"]) == (200, False)
    await until_heard(heard, "q")
