"""Ends of attempts whose worker knows no more of its task than the lease: it speaks HTTP.

Such a worker says what happened; what becomes of the task is decided here, by the task's own
policy. An end whose answer was lost is reported again: it is found in the history and answered as
the first time, so every report may be repeated until an answer comes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from tidemill import sql
from tidemill.db import Database, Record
from tidemill.models import Finish, Lease
from tidemill.retry import RetryPolicy, delay_after_failure
from tidemill.states import Outcome
from tidemill.store.leases import LeaseStore, stored_policy


class Ending(StrEnum):
    """What a worker says of an attempt."""

    COMPLETE = "complete"
    FAIL = "fail"
    RELEASE = "release"
    SNOOZE = "snooze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that ended. `retry` and `error` are for FAIL, `result` for COMPLETE.

    `after` seconds it runs again: instead of the policy's delay for FAIL, always for SNOOZE.
    `run_seconds` None: since it was claimed, but nothing for RELEASE.
    """

    lease: Lease
    ending: Ending
    result: Any = None
    error: dict[str, Any] | None = None
    retry: bool = True
    after: float | None = None
    run_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a lease that is held. `seconds` since the claim."""

    queue: str
    limited: bool
    retry_count: int
    max_retries: int
    retry: RetryPolicy
    seconds: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """For each end, in order, whether it is recorded; and queues with something new to claim."""

    held: list[bool]
    queues: set[str] = field(default_factory=set[str])


# A request to cancel makes every end but a success a cancellation.
_OUTCOMES: Final = {
    Ending.COMPLETE: {Outcome.SUCCEEDED},
    Ending.FAIL: {Outcome.RETRY, Outcome.FAILED, Outcome.CANCELLED},
    Ending.RELEASE: {Outcome.RELEASED, Outcome.CANCELLED},
    Ending.SNOOZE: {Outcome.SNOOZED, Outcome.CANCELLED},
}
_LATEST_MILLISECONDS: Final = 2**47  # in the year 6429: any UUID may come


class EndingStore:
    """Ends of attempts on `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db
        self._leases = LeaseStore(db)

    async def record(self, ends: Sequence[Ended]) -> Recorded:
        """Record how attempts ended; of two ends of one lease the first counts.

        Raises DatabaseUnavailable; then the same may be reported again.
        """
        known = await self._held({end.lease for end in ends})
        first = {end.lease: end for end in reversed(ends)}
        finishes = [decided(first[lease], held) for lease, held in known.items()]
        recorded = await self._leases.finish(finishes)
        before = await self._outcomes({end.lease for end in ends} - recorded)
        held = [
            (end.lease in recorded and first[end.lease].ending is end.ending)
            or before.get(end.lease) in _OUTCOMES[end.ending]
            for end in ends
        ]
        return Recorded(
            held, {known[each].queue for each in recorded if _frees(first, known, each)}
        )

    async def _held(self, leases: Collection[Lease]) -> dict[Lease, Held]:
        if not leases:
            return {}
        rows = await self._db.fetch(sql.load("held"), *_columns(leases))
        return {Lease(row["task_id"], row["lease_token"]): _known(row) for row in rows}

    async def _outcomes(self, leases: Collection[Lease]) -> dict[Lease, Outcome]:
        if not leases:
            return {}
        since = min(_made_at(lease.task_id) for lease in leases)
        rows = await self._db.fetch(sql.load("outcomes_recorded"), *_columns(leases), since)
        return {Lease(row["task_id"], row["lease_token"]): Outcome(row["outcome"]) for row in rows}


def decided(end: Ended, held: Held) -> Finish:
    """Return what to record for `end` of a lease that is held."""
    seconds = held.seconds if end.run_seconds is None else end.run_seconds
    if end.ending is Ending.COMPLETE:
        return Finish(
            lease=end.lease, outcome=Outcome.SUCCEEDED, run_seconds=seconds, result=end.result
        )
    if end.ending is Ending.RELEASE:
        return Finish(lease=end.lease, outcome=Outcome.RELEASED, run_seconds=end.run_seconds or 0.0)
    if end.ending is Ending.SNOOZE:
        return Finish(
            lease=end.lease,
            outcome=Outcome.SNOOZED,
            run_seconds=seconds,
            delay_seconds=end.after or 0.0,
        )
    delay = _delay(end, held)
    return Finish(
        lease=end.lease,
        outcome=Outcome.FAILED if delay is None else Outcome.RETRY,
        run_seconds=seconds,
        delay_seconds=delay,
        error=end.error,
    )


def _delay(end: Ended, held: Held) -> float | None:
    if not end.retry:
        return None
    return delay_after_failure(
        held.retry, retry_count=held.retry_count, max_retries=held.max_retries, after=end.after
    )


def _frees(first: dict[Lease, Ended], known: dict[Lease, Held], lease: Lease) -> bool:
    """Whether others may run something now: the task itself, or one that a limit kept waiting."""
    return known[lease].limited or first[lease].ending is Ending.RELEASE


def _columns(leases: Collection[Lease]) -> tuple[list[UUID], list[int]]:
    return [lease.task_id for lease in leases], [lease.token for lease in leases]


def _known(row: Record) -> Held:
    return Held(
        queue=row["queue"],
        limited=row["limited"],
        retry_count=row["retry_count"],
        max_retries=row["max_retries"],
        retry=stored_policy(row["retry"]),
        seconds=row["seconds"],
    )


def _made_at(task_id: UUID) -> datetime:
    """Return a time before the task can have ended: its id begins with when it was made."""
    milliseconds = min(task_id.int >> 80, _LATEST_MILLISECONDS)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds - 1000)
