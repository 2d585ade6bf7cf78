"""How an attempt ends: from what the handler did to the `Finish` to record. Pure.

The rules in order: a lost lease records nothing; a timeout is a failed attempt whatever the handler
made of it; a value is a success; what was stopped for another reason ends as that reason says;
everything else is a failure, retried by the task's policy while retries are left.
"""

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from tidemill.failures import error_record
from tidemill.jsontext import dumps
from tidemill.models import ClaimedTask, Finish
from tidemill.redaction import redact_value
from tidemill.retry import delay_after_failure
from tidemill.sdk.context import Stopped, StopReason
from tidemill.sdk.definition import TaskDefaults
from tidemill.signals import Discard, Retry, Snooze
from tidemill.states import Outcome
from tidemill_worker.tracebacks import message_of, traceback_of

_NO_DEFAULTS = TaskDefaults()


@dataclass(frozen=True, slots=True)
class Ended:
    """What came out of a handler: a value, or an exception."""

    value: Any = None
    error: BaseException | None = None


class TimedOut(Exception):
    """The handler ran past its task's timeout."""


class Unheld(Stopped):
    """Raised to a handler whose lease could not be renewed in time: it may be lost, or not."""


class ProcessDied(Exception):
    """The process of a handler ended before the handler did; the message says how."""


class Reported(Exception):
    """What a handler raised in a process of its own, described there as it is recorded.

    `retried`: whether it may be retried at all; `after`: the delay that the handler asked for.
    """

    def __init__(self, recorded: dict[str, Any], retried: bool, after: float | None) -> None:
        """Keep what that process said."""
        super().__init__(f"{recorded['type']}: {recorded['message']}")
        self.recorded, self.retried, self.after = recorded, retried, after


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
    if reason is StopReason.DRAINING or isinstance(ended.error, Unheld):
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


def storable(result: Any, most_bytes: int | None = None) -> Any:
    """Return what a handler returned as plain JSON values, of `most_bytes` as text at most.

    None: a child process's, whose worker knows the bound. Raises Unstorable, which says why.
    """
    if inspect.iscoroutine(result):
        result.close()
        raise Unstorable(
            "the handler returned a coroutine that nobody awaits: a decorator hides that it is "
            "one; make what the decorator returns an `async def`"
        )
    try:
        plain = to_jsonable_python(result, inf_nan_mode="null")
        size = 0 if isinstance(plain, bool | int | float) else len(dumps(plain).encode())
    except Exception as error:  # noqa: BLE001 - a generator, say: it may raise anything
        reason = message_of(error)
        raise Unstorable(f"the result cannot be stored as JSON: {reason}") from None
    if most_bytes is not None and size > most_bytes:
        raise Unstorable(
            f"the result must be at most {most_bytes} bytes as JSON (got {size} bytes): keep it "
            "elsewhere and return where it is, or raise TIDEMILL_MAX_PAYLOAD_BYTES of the workers"
        )
    return plain


def timed_out(task: ClaimedTask) -> TimedOut:
    """Return the error of an attempt that ran past its timeout."""
    return TimedOut(f"ran past its timeout of {task.timeout_seconds:g} s")


def described(error: BaseException) -> dict[str, Any]:
    """Return an error as it is recorded: type, message and the traceback's end, without secrets."""
    if isinstance(error, Reported):
        recorded: dict[str, Any] = redact_value(error.recorded)  # the child knows fewer secrets
        return recorded
    return error_record(type(error).__name__, message_of(error), traceback_of(error))


def may_retry(error: BaseException, defaults: TaskDefaults) -> bool:
    """Return whether an attempt that raised `error` is retried while retries are left."""
    if isinstance(error, Reported):
        return error.retried
    if isinstance(error, Retry | TimedOut | ProcessDied):
        return True
    if isinstance(error, (Discard, Unstorable, *defaults.discard_on)):
        return False
    return not defaults.retry_on or isinstance(error, (*defaults.retry_on, asyncio.CancelledError))


def _delay(task: ClaimedTask, error: BaseException, defaults: TaskDefaults) -> float | None:
    """Return when to run again, or None for never."""
    if not may_retry(error, defaults):
        return None
    return delay_after_failure(
        task.retry,
        retry_count=task.retry_count,
        max_retries=task.max_retries,
        after=error.after if isinstance(error, Retry | Reported) else None,
    )
