"""The stream's parts: a client's buffer, and what each client is told of a look."""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tidemill.models import Counts, QueueStats
from tidemill.states import Status
from tidemill.store.watching import WatchedTask
from tidemill_api.auth.callers import ANYONE, Caller
from tidemill_api.auth.scopes import Scope
from tidemill_api.events import frames
from tidemill_api.events.client import BUFFER_BYTES, CHUNK_BYTES, Client
from tidemill_api.events.fanout import Fanout

NOW = datetime(2030, 1, 31, tzinfo=UTC)
PATIENCE = 60.0
SOME = Caller("some", frozenset({Scope.READ}), frozenset({"p"}))
NOTHING = Counts(
    total_tasks=0, queued_tasks=0, scheduled_tasks=0, running_tasks=0, succeeded_tasks=0,
    failed_tasks=0, cancelled_tasks=0, avg_retry_count=0, tasks_with_retries=0,
)  # fmt: skip
FIGURES = [
    QueueStats(
        queue=name, paused=False, counts=NOTHING, oldest_queued_seconds=0,
        enqueued_per_second=0, finished_per_second=0,
    )
    for name in ("p", "q", "r")
]  # fmt: skip


def task(number: int, queue: str) -> WatchedTask:
    return WatchedTask(
        id=UUID(int=number), name=None, type="t", queue=queue, status=Status.QUEUED, priority=0,
        idempotency_key=None, retry_count=0, crash_count=0, max_retries=3, timeout_seconds=300,
        created_at=NOW, run_at=NOW, first_run_at=None, expires_at=None, started_at=None,
        completed_at=None, worker_id=None, cancel_requested_at=None, last_error=None, progress=None,
    )  # fmt: skip


TASKS = [task(1, "p"), task(2, "q"), task(3, "q")]


def client(
    queues: Iterable[str] = (), tasks: Iterable[int] = (), caller: Caller = ANYONE
) -> Client:
    return Client(caller, queues, [UUID(int=each) for each in tasks])


async def test_a_client_that_has_taken_all_gets_whatever_comes() -> None:
    one = client()
    long = [b"x" * CHUNK_BYTES] * 20
    for _ in range(3):
        assert one.push(long)
        taken = [await one.next(PATIENCE) for _ in long]
        assert taken == long


async def test_a_client_that_falls_behind_is_refused_more() -> None:
    one = client()
    assert one.push([b"x" * BUFFER_BYTES])
    assert not one.push([b"x"])
    while await one.next(0.01):
        pass
    assert one.push([b"x"])


async def test_a_snapshot_on_its_way_leaves_room_for_changes() -> None:
    one = client()
    assert one.push([b"x" * CHUNK_BYTES] * 100, snapshot=True)
    assert one.push([b"x" * BUFFER_BYTES])
    assert not one.push([b"x"])


async def test_what_was_pushed_comes_in_order_before_the_end() -> None:
    one = client()
    said = [b"%d." % number for number in range(50_000)]
    assert one.push(said)
    one.end()
    taken = b""
    while not one.done:
        taken += await one.next(PATIENCE)
    assert taken == b"".join(said)
    assert await one.next(PATIENCE) == b""


@pytest.mark.parametrize(
    ("asking", "queues", "tasks"),
    [
        (client(), ["p", "q", "r"], []),
        (client(["q"]), ["q"], [2, 3]),
        (client(["q", "unborn"], [1]), ["q"], [2, 3, 1]),
        (client(["q"], [2]), ["q"], [2, 3]),
        (client([], [1, 9]), ["p", "q", "r"], [1]),
        (client(caller=SOME), ["p"], []),
        (client([], [1, 2], caller=SOME), ["p"], [1]),
        (client(["p", "q"], caller=SOME), ["p"], [1]),
    ],
)
def test_each_client_is_told_what_it_asked_for_and_may_see(
    asking: Client, queues: list[str], tasks: list[int]
) -> None:
    expected = [frames.queue_frame(each) for each in FIGURES if each.queue in queues]
    by_number = {number: frames.task_frame(TASKS[number - 1]) for number in (1, 2, 3)}
    expected += [by_number[each] for each in tasks]
    assert sorted(Fanout(FIGURES, TASKS).news(asking)) == sorted(expected)


def test_a_task_that_went_is_told_and_one_that_went_before_the_first_look_too() -> None:
    fanout = Fanout([], TASKS[:1], gone=TASKS[1:2])
    assert frames.gone_frame(UUID(int=2)) in fanout.news(client(["q"]))
    assert frames.gone_frame(UUID(int=2)) not in fanout.news(client(["p"]))
    told = Fanout([], TASKS[:1]).snapshot(client([], [1, 3]))
    assert told == [
        frames.task_frame(TASKS[0]),
        frames.gone_frame(UUID(int=3)),
        frames.snapshot_frame(),
    ]


def test_clients_are_asked_to_come_again_at_different_times() -> None:
    low, high = frames.RETRY_MILLISECONDS
    times = {int(frames.hello_frame().removeprefix(b"retry: ")) for _ in range(100)}
    assert low <= min(times) <= max(times) <= high
    assert len(times) > 1
