"""Limits of queues: what may wait, what may run, and how fast."""

import asyncio

import pytest

from tests.support import storage
from tidemill.errors import Conflict, InvalidTask, QueueFull, QueueNotFound
from tidemill.models import ClaimedTask, NewTask, TaskType
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.queues import Owner, QueueSettings


async def claimer(store: Store, *queues: str) -> Claimer:
    worker = await storage.worker(store)
    return Claimer(store, worker, queues=queues or None, lease_seconds=30)


async def again(one: Claimer, limit: int = 9) -> list[ClaimedTask]:
    """Claim when the claimer finds it worth while to look again."""
    claimed = await one.claim(limit)
    while not claimed and one.retry_in is not None and one.retry_in < 5:
        await asyncio.sleep(one.retry_in)
        claimed = await one.claim(limit)
    return claimed


async def test_a_full_queue_refuses_a_batch_and_says_where_and_why(store: Store) -> None:
    await store.queues.put("small", {"max_depth": 3})
    await store.tasks.enqueue([NewTask(type="t", queue="small", delay_seconds=60)] * 2)
    batch = [NewTask(type="t"), *[NewTask(type="t", queue="small")] * 2]
    with pytest.raises(
        QueueFull, match=r"tasks\[1\].queue: 'small' is full: 2 tasks wait.*at most 3"
    ):
        await store.tasks.enqueue(batch)
    assert (await store.stats.stats()).counts.total_tasks == 2
    await store.tasks.enqueue(batch[:2])


async def test_running_tasks_and_known_keys_do_not_fill_a_queue(store: Store) -> None:
    await store.queues.put("small", {"max_depth": 1})
    task = NewTask(type="t", queue="small", idempotency_key="k")
    await store.tasks.enqueue([task])
    (known,) = await store.tasks.enqueue([task])
    assert not known.created
    await (await claimer(store)).claim(1)
    await store.tasks.enqueue([NewTask(type="t", queue="small")])


async def test_a_queue_that_does_not_exist_can_be_refused(store: Store) -> None:
    await store.tasks.enqueue([NewTask(type="t")], create_queues=True)
    with pytest.raises(InvalidTask, match=r"tasks\[1\].queue: must be a queue that exists.*'typo'"):
        await store.tasks.enqueue(
            [NewTask(type="t"), NewTask(type="t", queue="typo")], create_queues=False
        )
    assert [queue.name for queue in await store.queues.list()] == ["default"]


async def test_no_more_than_max_running_run_however_many_claim(store: Store) -> None:
    await store.queues.put("default", {"max_running": 3})
    await storage.enqueue(store, 10)
    first, second = await claimer(store), await claimer(store)
    running = [*await first.claim(2), *await second.claim(5)]
    assert len(running) == 3
    assert await first.claim(5) == []
    await store.leases.finish(storage.ends(running[:2], Outcome.SUCCEEDED))
    assert len(await second.claim(5)) == 2


async def test_what_runs_already_counts_when_a_limit_is_set(store: Store) -> None:
    await storage.enqueue(store, 10)
    one = await claimer(store)
    assert len(await one.claim(4)) == 4
    await store.queues.put("default", {"max_running": 5})
    assert len(await (await claimer(store)).claim(9)) == 1


async def test_a_bucket_gives_what_it_holds_and_says_when_there_is_more(store: Store) -> None:
    await store.queues.put("default", {"rate_tasks": 4, "rate_seconds": 3600})
    await storage.enqueue(store, 10)
    one = await claimer(store)
    assert len(await one.claim(9)) == 4
    assert await one.claim(9) == []
    assert one.retry_in is not None
    assert 800 < one.retry_in <= 900
    await store.db.execute(
        "UPDATE tidemill.queue_limits SET refilled_at = refilled_at - interval '30 minutes'"
    )
    assert len(await one.claim(9)) == 2


async def test_a_rate_that_comes_to_another_limit_begins_with_a_full_bucket(store: Store) -> None:
    await store.queues.put("default", {"max_running": 9})
    await storage.enqueue(store, 10)
    await store.queues.put("default", {"rate_tasks": 3, "rate_seconds": 3600})
    assert len(await (await claimer(store)).claim(9)) == 3


async def test_a_slow_rate_lets_a_task_through_at_all(store: Store) -> None:
    await store.queues.put("default", {"rate_tasks": 0.5, "rate_seconds": 60})
    await storage.enqueue(store, 2)
    one = await claimer(store)
    await store.db.execute(
        "UPDATE tidemill.queue_limits SET refilled_at = refilled_at - interval '2 hours'"
    )
    assert len(await one.claim(9)) == 1


async def test_from_limited_queues_no_more_is_taken_than_can_run_now(store: Store) -> None:
    await store.queues.put("slow", {"max_running": 100})
    await storage.enqueue(store, 10, queue="slow")
    assert len(await (await claimer(store)).claim(10, free=2)) == 2


async def test_a_limited_queue_gets_its_turn_beside_a_busy_one(store: Store) -> None:
    await store.queues.put("slow", {"max_running": 100})
    await storage.enqueue(store, 10, queue="slow")
    await storage.enqueue(store, 100, queue="busy")
    one = await claimer(store)
    queues = {task.queue for _ in range(4) for task in await one.claim(5, free=0)}
    assert queues == {"busy", "slow"}


async def test_a_queue_whose_limits_went_is_claimed_from_as_before(store: Store) -> None:
    await store.queues.put("default", {"max_running": 1})
    await storage.enqueue(store, 5)
    one = await claimer(store)
    await one.claim(5)
    await store.queues.put("default", {"max_running": None})
    assert len(await one.claim(5)) == 4
    assert await store.db.fetchval("SELECT count(*) FROM tidemill.queue_limits") == 0
    assert len(await (await claimer(store)).claim(5)) == 0


async def test_a_paused_queue_gives_nothing_until_it_is_resumed(store: Store) -> None:
    await storage.enqueue(store, 1)
    one = await claimer(store)
    assert (await store.queues.pause("default")).paused
    assert await one.claim(1) == []
    assert not (await store.queues.resume("default")).paused
    assert len(await again(one)) == 1
    with pytest.raises(QueueNotFound):
        await store.queues.pause("none")


async def test_a_setting_of_the_owners_is_refused_and_others_are_written(store: Store) -> None:
    await store.queues.configure("q", QueueSettings(max_running=2), Owner("uid", "ns/tq"))
    with pytest.raises(Conflict, match="max_running of queue 'q' belongs to TaskQueue ns/tq"):
        await store.queues.put("q", {"max_running": 5, "max_depth": 7})
    queue = await store.queues.put("q", {"max_depth": 7})
    assert (queue.max_running, queue.max_depth) == (2, 7)
    assert (await store.queues.pause("q")).paused


async def test_only_an_empty_queue_is_deleted(store: Store) -> None:
    (made,) = await store.tasks.enqueue([NewTask(type="t", queue="q")])
    with pytest.raises(Conflict, match=r"it holds tasks \(1 queued\)"):
        await store.queues.delete("q")
    await store.acts.delete([made.id])
    await store.queues.put("q", {"max_running": 2})
    await store.queues.delete("q")
    assert await store.queues.get("q") is None
    with pytest.raises(QueueNotFound):
        await store.queues.delete("q")


async def test_tasks_of_a_paused_type_wait_and_others_go_on(store: Store) -> None:
    await store.types.register([TaskType(name="held"), TaskType(name="free")], app="a")
    await storage.enqueue(store, 3, type="held")
    await storage.enqueue(store, 2, type="free")
    await store.types.pause("held")
    one = await claimer(store)
    assert [task.type for task in await one.claim(9)] == ["free", "free"]
    assert one.more
    assert (await store.stats.stats()).counts.scheduled_tasks == 3
    assert await store.types.resume("held") == {"default"}
    back = await one.claim(9)
    assert [(task.type, task.retry_count) for task in back] == [("held", 0)] * 3


async def test_forgetting_a_paused_type_lets_its_tasks_go(store: Store) -> None:
    await store.types.register([TaskType(name="held")], app="a")
    await storage.enqueue(store, 1, type="held")
    await store.types.pause("held")
    one = await claimer(store)
    assert await one.claim(1) == []
    await store.types.delete("held")
    assert len(await one.claim(1)) == 1
