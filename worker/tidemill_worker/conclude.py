"""How an attempt ends: from what the handler did to the `Finish` to record. Pure.

The rules in order: a lost lease records nothing; a timeout is a failed attempt whatever the handler
made of it; a value is a success; what was stopped for another reason ends as that reason says;
everything else is a failure, retried by the task's policy while retries are left.
"""

import asyncio
import traceback
from dataclasses import dataclass
from typing import Any

from tidemill.models import ClaimedTask, Finish
from tidemill.sdk.context import StopReason
from tidemill.sdk.definition import TaskDefaults
from tidemill.signals import Discard, Retry, Snooze
from tidemill.states import Outcome

TRACEBACK_CHARACTERS = 4000
MESSAGE_CHARACTERS = 2000

_NO_DEFAULTS = TaskDefaults()


@dataclass(frozen=True, slots=True)
class Ended:
    """What came out of a handler: a value, or an exception."""

    value: Any = None
    error: BaseException | None = None


class TimedOut(Exception):
    """The handler ran past its task's timeout."""


class Unstorable(Exception):
    """The handler's result cannot be stored as JSON; running it again would not help."""


def conclude(
    task: ClaimedTask,
    ended: Ended,
    *,
    reason: StopReason | None,
    seconds: float,
    defaults: TaskDefaults = _NO_DEFAULTS,
) -> Finish | None:
    """Return what to record, or None when the lease is lost and nothing may be recorded."""
    if reason is StopReason.LEASE_LOST:
        return None
    if reason is StopReason.TIMEOUT:
        return fail(task, timed_out(task), seconds=seconds, defaults=defaults)
    if ended.error is None:
        return Finish(
            lease=task.lease,
            outcome=Outcome.SUCCEEDED,
            run_seconds=seconds,
            result=ended.value,
        )
    if reason is StopReason.CANCELLED:
        return Finish(lease=task.lease, outcome=Outcome.CANCELLED, run_seconds=seconds)
    if reason is StopReason.DRAINING:
        return release(task, seconds=seconds)
    return fail(task, ended.error, seconds=seconds, defaults=defaults)


def fail(
    task: ClaimedTask,
    error: BaseException,
    *,
    seconds: float,
    defaults: TaskDefaults = _NO_DEFAULTS,
    final: bool = False,
) -> Finish:
    """Return the end of an attempt that raised `error`; `final`: no retry can help."""
    if isinstance(error, Snooze):
        return snooze(task, error.seconds, seconds=seconds)
    delay = None if final else _delay(task, error, defaults)
    return Finish(
        lease=task.lease,
        outcome=Outcome.FAILED if delay is None else Outcome.RETRY,
        run_seconds=seconds,
        delay_seconds=delay,
        error=described(error),
    )


def release(task: ClaimedTask, *, seconds: float = 0.0) -> Finish:
    """Return the end of an attempt that is given back without charge."""
    return Finish(lease=task.lease, outcome=Outcome.RELEASED, run_seconds=seconds)


def snooze(task: ClaimedTask, delay_seconds: float, *, seconds: float = 0.0) -> Finish:
    """Return the end of an attempt that runs again after `delay_seconds` without charge."""
    return Finish(
        lease=task.lease,
        outcome=Outcome.SNOOZED,
        run_seconds=seconds,
        delay_seconds=delay_seconds,
    )


def timed_out(task: ClaimedTask) -> TimedOut:
    """Return the error of an attempt that ran past its timeout."""
    return TimedOut(f"ran past its timeout of {task.timeout_seconds:g} s")


def described(error: BaseException) -> dict[str, Any]:
    """Return an error as it is recorded: type, message and the traceback's end."""
    frames = "".join(traceback.format_exception(error)) if error.__traceback__ else ""
    return {
        "type": type(error).__name__,
        "message": _storable(str(error) or type(error).__name__)[:MESSAGE_CHARACTERS],
        "traceback": _storable(frames)[-TRACEBACK_CHARACTERS:],
    }


def _delay(task: ClaimedTask, error: BaseException, defaults: TaskDefaults) -> float | None:
    """Return when to run again, or None for never."""
    if task.retry_count >= task.max_retries or isinstance(error, Discard | Unstorable):
        return None
    if isinstance(error, Retry) and error.after is not None:
        return error.after
    if not isinstance(error, Retry | TimedOut) and not _retried(error, defaults):
        return None
    return task.retry.delay_seconds(task.retry_count + 1)


def _retried(error: BaseException, defaults: TaskDefaults) -> bool:
    if isinstance(error, defaults.discard_on):
        return False
    return not defaults.retry_on or isinstance(error, (*defaults.retry_on, asyncio.CancelledError))


def _storable(text: str) -> str:
    """Return `text` without what Postgres cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")
