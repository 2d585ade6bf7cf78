"""How an attempt ends: the rules, as values."""

import asyncio
from typing import Any

import pytest

from tests.support.worker import claimed
from tidemill.failures import MESSAGE_CHARACTERS, TRACEBACK_CHARACTERS
from tidemill.models import Finish
from tidemill.retry import RetryPolicy
from tidemill.sdk.context import StopReason
from tidemill.sdk.definition import TaskDefaults
from tidemill.signals import Discard, Retry, Snooze
from tidemill.states import Outcome
from tidemill_worker.conclude import (
    Ended,
    ProcessDied,
    Reported,
    Unstorable,
    conclude,
    described,
    storable,
)


def end(
    ended: Ended,
    *,
    reason: StopReason | None = None,
    defaults: TaskDefaults | None = None,
    **task: Any,
) -> Finish | None:
    return conclude(
        claimed(**task), ended, reason=reason, seconds=1.5, defaults=defaults or TaskDefaults()
    )


def outcome(error: BaseException, *, defaults: TaskDefaults | None = None, **task: Any) -> Outcome:
    finish = end(Ended(error=error), defaults=defaults, **task)
    assert finish is not None
    return finish.outcome


def test_a_value_is_a_success() -> None:
    finish = end(Ended(value={"a": 1}))
    assert finish is not None
    assert (finish.outcome, finish.result, finish.run_seconds) == (
        Outcome.SUCCEEDED,
        {"a": 1},
        1.5,
    )


def test_a_failure_is_retried_by_the_policy_until_retries_run_out() -> None:
    policy = RetryPolicy(policy="fixed", base_seconds=40)
    finish = end(Ended(error=ValueError("no")), retry=policy, retry_count=2, max_retries=3)
    assert finish is not None
    assert finish.outcome is Outcome.RETRY
    assert finish.delay_seconds is not None
    assert 30 <= finish.delay_seconds <= 50
    assert finish.error is not None
    assert (finish.error["type"], finish.error["message"]) == ("ValueError", "no")
    assert outcome(ValueError(), retry_count=3, max_retries=3) is Outcome.FAILED


def test_the_delay_grows_with_the_failures() -> None:
    policy = RetryPolicy(policy="list", delays_seconds=(10, 1000))
    delays = [
        finish.delay_seconds
        for count in (0, 1)
        if (finish := end(Ended(error=ValueError()), retry=policy, retry_count=count))
    ]
    assert delays[0] is not None
    assert delays[1] is not None
    assert 7 < delays[0] < 13
    assert 700 < delays[1] < 1300


def test_handlers_may_say_how_it_ends() -> None:
    finish = end(Ended(error=Retry(after=7)))
    assert finish is not None
    assert (finish.outcome, finish.delay_seconds) == (Outcome.RETRY, 7)
    assert outcome(Retry(after=7), retry_count=3) is Outcome.FAILED
    assert outcome(Discard("useless")) is Outcome.FAILED
    snoozed = end(Ended(error=Snooze(9)), retry_count=3)
    assert snoozed is not None
    assert (snoozed.outcome, snoozed.delay_seconds, snoozed.error) == (Outcome.SNOOZED, 9, None)


def test_exception_types_choose_what_is_retried() -> None:
    only_io = TaskDefaults(retry_on=(OSError,))
    assert outcome(ConnectionError(), defaults=only_io) is Outcome.RETRY
    assert outcome(ValueError(), defaults=only_io) is Outcome.FAILED
    assert outcome(Retry(), defaults=only_io) is Outcome.RETRY
    no_values = TaskDefaults(discard_on=(ValueError,))
    assert outcome(ValueError(), defaults=no_values) is Outcome.FAILED
    assert outcome(OSError(), defaults=no_values) is Outcome.RETRY


@pytest.mark.parametrize("ended", [Ended(value=1), Ended(error=asyncio.CancelledError())])
def test_a_timeout_is_a_failed_attempt_whatever_came_of_it(ended: Ended) -> None:
    finish = end(ended, reason=StopReason.TIMEOUT, timeout_seconds=5.0)
    assert finish is not None
    assert finish.outcome is Outcome.RETRY
    assert finish.error is not None
    assert finish.error["message"] == "ran past its timeout of 5 s"
    last = end(ended, reason=StopReason.TIMEOUT, retry_count=3)
    assert last is not None
    assert last.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("reason", "expected"),
    [(StopReason.CANCELLED, Outcome.CANCELLED), (StopReason.DRAINING, Outcome.RELEASED)],
)
def test_what_was_stopped_ends_as_the_reason_says(reason: StopReason, expected: Outcome) -> None:
    for error in (asyncio.CancelledError(), RuntimeError("while cleaning up")):
        finish = end(Ended(error=error), reason=reason)
        assert finish is not None
        assert finish.outcome is expected
    in_time = end(Ended(value=1), reason=reason)
    assert in_time is not None
    assert in_time.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("ended", [Ended(value=1), Ended(error=ValueError())])
def test_a_lost_lease_records_nothing(ended: Ended) -> None:
    assert end(ended, reason=StopReason.LEASE_LOST) is None


def test_a_cancellation_of_the_handler_s_own_making_is_a_failure() -> None:
    assert outcome(asyncio.CancelledError()) is Outcome.RETRY


def test_an_error_is_recorded_with_its_traceback_s_end_and_storable() -> None:
    def deep(n: int) -> None:
        if n:
            deep(n - 1)
        raise ValueError("bad\0 " + "\ud800" + "x" * 5000)

    try:
        deep(200)
    except ValueError as error:
        recorded = described(error)
    assert recorded["type"] == "ValueError"
    assert len(recorded["message"]) == MESSAGE_CHARACTERS
    assert len(recorded["traceback"]) == TRACEBACK_CHARACTERS
    assert "\0" not in recorded["message"]
    recorded["message"].encode()


def test_a_process_that_died_is_retried_whatever_the_handler_wants_retried() -> None:
    only_keys = TaskDefaults(retry_on=(KeyError,))
    assert outcome(ProcessDied("killed by SIGSEGV"), defaults=only_keys) is Outcome.RETRY
    assert outcome(ProcessDied("killed by SIGSEGV"), retry_count=3) is Outcome.FAILED


def test_what_a_process_reports_is_recorded_as_it_says() -> None:
    recorded = {"type": "ShopClosed", "message": "at night", "traceback": "…"}
    finish = end(Ended(error=Reported(recorded, retried=True, after=7.0)))
    assert finish is not None
    assert (finish.outcome, finish.delay_seconds, finish.error) == (Outcome.RETRY, 7.0, recorded)
    for_good = Reported(recorded, retried=False, after=None)
    assert outcome(for_good) is Outcome.FAILED


def test_a_coroutine_that_nobody_awaited_is_said_to_be_one() -> None:
    async def handler() -> None: ...

    with pytest.raises(Unstorable, match="a decorator hides that it is one"):
        storable(handler())
