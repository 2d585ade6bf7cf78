"""Shared inserts: who is guilty gets the error, everybody else is stored.

The store here refuses by rule and keeps what it took; the real one is held to the same in the
contract tests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from tidemill.errors import (
    Conflict,
    DatabaseUnavailable,
    Fault,
    IdempotencyConflict,
    InvalidTask,
    Overloaded,
    QueueFull,
    UnknownType,
)
from tidemill.models import Enqueued, NewTask
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill_api import enqueue as module
from tidemill_api.enqueue import Enqueuer
from tidemill_api.metrics import ApiMetrics

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
Refusal = Callable[[Sequence[NewTask]], Exception | None]


class RefusingStore:
    """Takes batches whole or raises; remembers the names of what it took and how often it tried."""

    def __init__(self, refusal: Refusal) -> None:
        self.taken: list[str] = []
        self.tries = 0
        self._refusal = refusal

    async def enqueue(self, tasks: Sequence[NewTask], **_: Any) -> list[Enqueued]:
        self.tries += 1
        await asyncio.sleep(0)
        if error := self._refusal(tasks):
            raise error
        self.taken += [str(task.name) for task in tasks]
        return [made(task) for task in tasks]


class NoHints:
    def hint(self, queue: str) -> None:
        pass


def made(task: NewTask) -> Enqueued:
    return Enqueued(
        id=UUID(int=int(task.name or 0)),
        status=Status.QUEUED,
        created=True,
        queue="q",
        priority=0,
        max_retries=3,
        timeout_seconds=300,
        retry=None,
        created_at=MOMENT,
        run_at=MOMENT,
    )


async def outcome(refusal: Refusal, count: int) -> tuple[RefusingStore, list[Any]]:
    return await outcomes(refusal, [NewTask(type="t", name=str(n)) for n in range(count)])


async def outcomes(refusal: Refusal, tasks: list[NewTask]) -> tuple[RefusingStore, list[Any]]:
    store = RefusingStore(refusal)
    enqueuer = Enqueuer(cast("Any", store), cast("Any", NoHints()), ApiMetrics(), Settings())
    calls: list[Awaitable[Enqueued]] = [enqueuer.one(task) for task in tasks]
    results = await asyncio.gather(*calls, return_exceptions=True)
    await enqueuer.close()
    return store, list(results)


def names(tasks: Sequence[NewTask]) -> list[int]:
    return [int(task.name or 0) for task in tasks]


def guilty(*bad: int, error: Callable[[list[int]], Exception]) -> Refusal:
    """Refuse a batch with guilty members; `error` is told their places in it."""

    def refusal(tasks: Sequence[NewTask]) -> Exception | None:
        places = [place for place, name in enumerate(names(tasks)) if name in bad]
        return error(places) if places else None

    return refusal


def invalid(places: list[int]) -> Exception:
    return InvalidTask(*(Fault(f"tasks[{place}].payload", "is bad", place) for place in places))


def conflict(places: list[int]) -> Exception:
    return IdempotencyConflict(f"tasks[{places[0]}].idempotency_key: 'k' was used")


def nameless(_: list[int]) -> Exception:
    return Conflict("one of them cannot be stored")


def unexpected(_: list[int]) -> Exception:
    return ZeroDivisionError("a bug")


@pytest.mark.parametrize("error", [invalid, conflict, nameless, unexpected])
@pytest.mark.parametrize("bad", [(0,), (7,), (49,), (1, 2, 3), (0, 25, 49), tuple(range(50))])
async def test_only_the_guilty_get_the_error(
    error: Callable[[list[int]], Exception], bad: tuple[int, ...]
) -> None:
    store, results = await outcome(guilty(*bad, error=error), 50)
    for number, result in enumerate(results):
        if number in bad:
            assert type(result) is type(error([0]))
            assert "tasks[" not in str(result)
        else:
            assert result.id == UUID(int=number)
    assert sorted(map(int, store.taken)) == [n for n in range(50) if n not in bad]
    assert store.tries < 150


async def test_an_invalid_tasks_own_faults_only() -> None:
    def two(places: list[int]) -> Exception:
        return UnknownType(*(Fault(f"tasks[{p}].type", f"is fault of {p}") for p in places))

    _, results = await outcome(guilty(3, 4, error=two), 10)
    assert [fault.field for fault in results[3].faults] == ["type"]
    assert len(results[4].faults) == 1


async def test_a_database_that_goes_away_spoils_only_what_is_not_stored() -> None:
    tries = 0

    def refusal(tasks: Sequence[NewTask]) -> Exception | None:
        nonlocal tries
        tries += 1
        if tries >= 4:
            return DatabaseUnavailable("gone")
        return nameless([]) if 9 in names(tasks) and len(tasks) > 1 else None

    store, results = await outcome(refusal, 10)
    acknowledged = [r.id.int for r in results if isinstance(r, Enqueued)]
    assert acknowledged == sorted(map(int, store.taken))
    lost = [r for r in results if not isinstance(r, Enqueued)]
    assert lost
    assert {type(error) for error in lost} == {DatabaseUnavailable}


async def test_too_many_waiting_are_refused_not_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    store, results = await outcome(lambda _: None, 20)
    refused = [result for result in results if isinstance(result, Overloaded)]
    assert refused
    assert len(store.taken) + len(refused) == 20


class _LockNotAvailableError(Exception):
    sqlstate = "55P03"


def stuck(_: list[int]) -> Exception:
    error = DatabaseUnavailable("lock timeout")
    error.__cause__ = _LockNotAvailableError()
    return error


async def test_a_task_that_waits_for_anothers_commit_is_refused_alone() -> None:
    store, results = await outcome(guilty(7, error=stuck), 20)
    assert [n for n, r in enumerate(results) if not isinstance(r, Enqueued)] == [7]
    assert len(store.taken) == 19


async def test_many_that_wait_are_given_up_together() -> None:
    store, results = await outcome(guilty(*range(20), error=stuck), 20)
    assert not any(isinstance(result, Enqueued) for result in results)
    assert store.tries <= module.MOST_STUCK + 1 + module.KEYED_LANES


async def test_a_database_that_goes_away_while_one_waits_is_not_asked_again() -> None:
    tries = 0

    def refusal(_: Sequence[NewTask]) -> Exception:
        nonlocal tries
        tries += 1
        return stuck([]) if tries == 1 else DatabaseUnavailable("gone")

    store, results = await outcome(refusal, 20)
    assert store.tries == 2
    assert {str(result) for result in results} == {"gone"}


def of_queues(count: int, *queues: str, key: str | None = None) -> list[NewTask]:
    return [
        NewTask(
            type="t",
            name=str(n),
            queue=queues[n % len(queues)],
            idempotency_key=key and f"{key}{n}",
        )
        for n in range(count)
    ]


def room(most: int) -> Refusal:
    """A queue `full` takes `most` tasks, however they come; others take all."""
    taken = 0

    def refusal(tasks: Sequence[NewTask]) -> Exception | None:
        nonlocal taken
        coming = sum(task.queue == "full" for task in tasks)
        if coming and taken + coming > most:
            place = next(place for place, task in enumerate(tasks) if task.queue == "full")
            return QueueFull(f"tasks[{place}].queue: 'full' is full", retry_after=3)
        taken += coming
        return None

    return refusal


@pytest.mark.parametrize("most", [0, 1, 10, 250, 500])
async def test_a_full_queue_is_filled_to_the_brim_and_costs_the_others_little(most: int) -> None:
    store, results = await outcomes(room(most), of_queues(1000, "full", "free"))
    refused = [result for result in results[::2] if isinstance(result, QueueFull)]
    assert len(refused) == 500 - most
    assert {(str(error), error.retry_after) for error in refused} <= {("queue: 'full' is full", 3)}
    assert all(isinstance(result, Enqueued) for result in results[1::2])
    assert store.tries <= 60


async def test_each_key_is_asked_for_where_a_queue_is_full() -> None:
    def refusal(tasks: Sequence[NewTask]) -> Exception | None:
        new = [task for task in tasks if task.name != "7"]  # the key of 7 is known
        return QueueFull("tasks[0].queue: 'full' is full") if new else None

    _, results = await outcomes(refusal, of_queues(20, "full", key="k"))
    assert [n for n, result in enumerate(results) if isinstance(result, Enqueued)] == [7]


async def test_a_queue_that_does_not_exist_is_found_out_once() -> None:
    def refusal(tasks: Sequence[NewTask]) -> Exception | None:
        bad = [place for place, task in enumerate(tasks) if task.queue != "there"]
        if not bad:
            return None
        return InvalidTask(Fault(f"tasks[{bad[0]}].queue", "must be a queue that exists"))

    store, results = await outcomes(refusal, of_queues(900, "none", "there", "nope", "there"))
    assert [str(result) for result in results[::2]] == ["queue: must be a queue that exists"] * 450
    assert all(isinstance(result, Enqueued) for result in results[1::2])
    assert store.tries <= 3 + 2  # the first request goes alone
