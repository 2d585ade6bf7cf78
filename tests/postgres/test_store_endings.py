"""Ends that HTTP workers report: decided by the task's policy, recorded once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import ledger, storage
from tests.support.worker import claimed
from tidemill.models import Lease
from tidemill.retry import RetryPolicy
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.endings import Ended, Ending, Held, decided

LEASE = claimed().lease
ERROR = {"type": "E", "message": "no", "traceback": ""}


def held(**said: Any) -> Held:
    usual: dict[str, Any] = {
        "queue": "q", "limited": False, "retry_count": 0, "max_retries": 3,
        "retry": RetryPolicy(policy="fixed", base_seconds=60), "seconds": 7.0,
    }  # fmt: skip
    return Held(**(usual | said))


@given(retries=st.integers(0, 5), most=st.integers(0, 5), retry=st.booleans())
def test_a_failure_is_retried_while_retries_are_left(retries: int, most: int, retry: bool) -> None:
    end = Ended(lease=LEASE, ending=Ending.FAIL, error=ERROR, retry=retry)
    finish = decided(end, held(retry_count=retries, max_retries=most))
    assert finish.error == ERROR
    if retry and retries < most:
        assert finish.outcome is Outcome.RETRY
        assert 45 <= (finish.delay_seconds or 0) <= 75
    else:
        assert (finish.outcome, finish.delay_seconds) == (Outcome.FAILED, None)


@pytest.mark.parametrize(
    ("ending", "said", "outcome", "seconds", "delay"),
    [
        (Ending.COMPLETE, {}, Outcome.SUCCEEDED, 7.0, None),
        (Ending.COMPLETE, {"run_seconds": 2.0}, Outcome.SUCCEEDED, 2.0, None),
        (Ending.FAIL, {"after": 9.0}, Outcome.RETRY, 7.0, 9.0),
        (Ending.RELEASE, {}, Outcome.RELEASED, 0.0, None),
        (Ending.RELEASE, {"run_seconds": 2.0}, Outcome.RELEASED, 2.0, None),
        (Ending.SNOOZE, {"after": 9.0}, Outcome.SNOOZED, 7.0, 9.0),
    ],
)
def test_ends_as_they_are_recorded(
    ending: Ending, said: dict[str, Any], outcome: Outcome, seconds: float, delay: float | None
) -> None:
    finish = decided(Ended(lease=LEASE, ending=ending, **said), held())
    assert (finish.outcome, finish.run_seconds, finish.delay_seconds) == (outcome, seconds, delay)


async def test_of_two_ends_of_one_lease_in_a_batch_the_first_counts(store: Store) -> None:
    await storage.enqueue(store, 2)
    first, second = await storage.claim(store, await storage.worker(store))
    ends = [
        Ended(lease=first.lease, ending=Ending.COMPLETE, result=1),
        Ended(lease=first.lease, ending=Ending.COMPLETE, result=2),
        Ended(lease=second.lease, ending=Ending.RELEASE),
        Ended(lease=first.lease, ending=Ending.FAIL, error=ERROR),
    ]
    recorded = await store.endings.record(ends)
    assert recorded.held == [True, True, True, False]
    assert recorded.queues == {"default"}, "for what was released, others are woken"
    task = await store.tasks.get(first.id)
    assert task is not None
    assert task.result == 1
    await ledger.balance(store)


async def test_an_end_in_a_limited_queue_makes_room_for_others(store: Store) -> None:
    await store.queues.put("few", {"max_running": 1})
    await storage.enqueue(store, queue="few")
    worker = await storage.worker(store)
    plan = await storage.claim(store, worker, queues=["few"])
    assert plan == []  # such queues are claimed from under their limits' lock
    await store.queues.put("few", {"max_running": None})
    [task] = await storage.claim(store, worker, queues=["few"])
    await store.queues.put("few", {"max_running": 1})
    recorded = await store.endings.record([Ended(lease=task.lease, ending=Ending.COMPLETE)])
    assert (recorded.held, recorded.queues) == ([True], {"few"})


async def test_any_lease_may_be_asked_for(store: Store) -> None:
    strange = [Lease(claimed().id, 1), Lease(type(LEASE.task_id)(int=2**128 - 1), 2**63 - 1)]
    ends = [Ended(lease=lease, ending=Ending.COMPLETE) for lease in strange]
    assert (await store.endings.record(ends)).held == [False, False]
    assert (await store.endings.record([])).held == []
