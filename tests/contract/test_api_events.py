"""The stream of events: snapshots, figures of queues, the life of a task."""

from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import storage
from tests.support.events import Event, Events, listening
from tests.support.http import ask, enqueue
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill_api.events import feed, stream


def figures(events: list[Event], queue: str) -> list[Any]:
    """Return what was told of a queue."""
    return [e.data for e in events if e.name == "queue" and e.data["queue"] == queue]


async def status_of(events: Events, status: str) -> Any:
    """Return a task as the stream tells it once it has this status."""
    found = await events.until(lambda e: e.name == "task" and e.data["status"] == status)
    return found.data


async def test_a_stream_begins_with_what_is_and_goes_on_with_what_changes(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await enqueue(http, queue="p")
    async with listening(http) as events:
        headers = events.response.headers
        assert headers["Content-Type"] == "text/event-stream"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["Cache-Control"] == "no-store"
        assert "X-Request-Id" in headers
        first = await events.snapshot()
        assert events.seen[0].name.startswith("retry: ")
        assert [each["queued_tasks"] for each in figures(first, "p")] == [1]
        (task,) = await storage.claim(store, await storage.worker(store))  # which notifies nobody
        await events.until(lambda e: e.name == "queue" and e.data["running_tasks"] == 1)
        await store.leases.finish(storage.ends([task], Outcome.SUCCEEDED))
        await events.until(lambda e: e.name == "queue" and e.data["succeeded_tasks"] == 1)
        shown = (await ask(http, "GET", "/api/stats")).json["queues"]
        told = figures(events.seen, "p")[-1]
        (now,) = (each for each in shown if each["queue"] == "p")
        assert told.keys() == now.keys()
        assert told["succeeded_tasks"] == now["succeeded_tasks"]
        assert all(e.name != "task" for e in events.seen)


async def test_a_reconnect_gets_a_fresh_snapshot_and_no_replay(
    http: aiohttp.ClientSession,
) -> None:
    async with listening(http) as events:
        await events.snapshot()
    for _ in range(3):
        await enqueue(http, queue="p")
    async with listening(http) as events:
        told = figures(await events.snapshot(), "p")
    assert [each["queued_tasks"] for each in told] == [3]


async def test_a_busy_queue_is_told_by_looks_not_by_changes(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many enqueues come between two looks changes nothing: one event a look and queue."""
    looks = 0
    told = feed.Feed._look

    async def counted(self: feed.Feed) -> bool:
        nonlocal looks
        looks += 1
        return await told(self)

    monkeypatch.setattr(feed.Feed, "_look", counted)
    async with listening(http, "?queue=p") as events:
        await events.snapshot()
        for _ in range(200):
            await enqueue(http, queue="p")
        await events.until(lambda e: e.name == "queue" and e.data["queued_tasks"] == 200)
        assert len(figures(events.seen, "p")) <= looks
    assert feed.POLL_SECONDS >= 0.5


async def test_a_task_is_told_through_its_whole_life(
    http: aiohttp.ClientSession, store: Store
) -> None:
    task_id = (await enqueue(http, queue="p", delay_seconds=3600)).json["id"]
    worker = await storage.worker(store)
    async with listening(http, f"?task={task_id}&task={task_id}") as events:
        await status_of(events, "scheduled")
        await ask(http, "POST", f"/api/tasks/{task_id}/retry")
        await status_of(events, "queued")
        (task,) = await storage.claim(store, worker)
        await status_of(events, "running")
        await store.leases.progress({task.lease: '{"done": 1}'})
        await events.until(lambda e: e.name == "task" and e.data["progress"] is not None)
        failed = storage.ends([task], Outcome.RETRY, delay_seconds=3600.0, error={"type": "E"})
        await store.leases.finish(failed)
        assert (await status_of(events, "scheduled"))["retry_count"] == 1
        await storage.make_due(store.db)
        await status_of(events, "queued")
        await store.leases.finish(storage.ends(await storage.claim(store, worker), Outcome.FAILED))
        assert (await status_of(events, "failed"))["completed_at"] is not None
        await ask(http, "DELETE", f"/api/tasks/{task_id}")
        gone = await events.until(lambda e: e.name == "task_gone")
        assert gone.data == {"id": task_id}


async def test_a_watched_queue_tells_its_new_tasks_until_they_end(
    http: aiohttp.ClientSession, store: Store
) -> None:
    async with listening(http, "?queue=p") as events:
        await events.snapshot()
        await enqueue(http, queue="other")
        task_id = (await enqueue(http, queue="p")).json["id"]
        assert (await status_of(events, "queued"))["id"] == task_id
        worker = await storage.worker(store)
        claimed = await storage.claim(store, worker, queues=["p"])
        await status_of(events, "running")
        await store.leases.finish(storage.ends(claimed, Outcome.SUCCEEDED))
        await status_of(events, "succeeded")
        assert figures(events.seen, "other") == []


async def test_a_quiet_stream_has_heartbeats(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.05)
    async with listening(http) as events:
        await events.snapshot()
        for _ in range(3):
            await events.until(lambda e: e.name == "comment")


async def test_head_answers_without_a_stream(http: aiohttp.ClientSession) -> None:
    answer = await ask(http, "HEAD", "/api/events")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?task=x", 400),
        ("?queue=%20", 400),
        ("?colour=red", 400),
        ("?task=00000000-0000-0000-0000-000000000000", 404),
        ("?" + "&".join(["queue=q"] * 21), 400),
    ],
)
async def test_what_cannot_be_watched_is_refused(
    http: aiohttp.ClientSession, query: str, status: int
) -> None:
    assert (await ask(http, "GET", f"/api/events{query}")).status == status


async def test_streams_past_the_bound_are_refused_and_freed_ones_count_no_more(
    start_api: Start, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_STREAMS", 2)
    http = await start_api(settings)
    async with listening(http) as one, listening(http) as two:
        await one.snapshot()
        await two.snapshot()
        answer = await ask(http, "GET", "/api/events")
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)

    async def free() -> bool:
        return (
            "tidemill_api_event_streams 0.0" in (await ask(http, "GET", "/metrics")).body.decode()
        )

    await storage.until(free)  # nobody told the server: it noticed
    async with listening(http) as events:
        await events.snapshot()
