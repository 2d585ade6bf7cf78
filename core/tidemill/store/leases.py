"""Leases: claim, heartbeat, finish. The protocol, in one place.

A claim moves tasks from `ready` to `leases` under a token drawn from one sequence, and only
(task, token) can extend or end it. Whoever comes with an older token changes nothing and is told
so. A lease that is not extended in time is taken back by any process (`UpkeepStore.recover`); its
late holder then finds its token stale. The clock that decides is Postgres's alone: a worker only
asks itself, on its monotonic clock, how long ago it *sent* the claim or heartbeat.

Every statement locks leases in the order of task ids, so batches that overlap (a heartbeat and a
completion of one worker, say) wait for each other instead of deadlocking.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from tidemill import sql
from tidemill.db import Database, Record, Session, column
from tidemill.jsontext import dumps_or_none, loads
from tidemill.models import ClaimedTask, Extension, Finish, Lease, WorkerIdentity
from tidemill.retry import MAX_DELAY_SECONDS, RetryPolicy
from tidemill.states import Outcome

log = logging.getLogger(__name__)

_NOT_A_HOLDERS: Final = frozenset(
    {Outcome.LEASE_EXPIRED, Outcome.REPLAYED, Outcome.MOVED, Outcome.REPRIORITISED}
)


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a queue to claim from: one priority and lane, from a place on.

    Without a lane: all priorities between `priority` and `beyond`, without these two.
    """

    queue_id: int
    priority: int
    lane: int | None
    least_seq: int
    beyond: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """Where to look, in order: `whole` queues first, then `ranges`, then starved tasks.

    Of a `guarded` queue only the task that waits longest in its lowest priority is taken, once it
    has waited for the queue's `starvation_seconds`. `names` of queues by id.
    """

    whole: tuple[int, ...] = ()
    ranges: tuple[Range, ...] = ()
    guarded: tuple[int, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict[int, str])


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many tasks a queue's limits let run now, and in how many seconds its rate lets one."""

    queue_id: int
    tasks: int
    wait_seconds: float


class LeaseStore:
    """Leases on `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def claim(
        self, worker: WorkerIdentity, plan: ClaimPlan, limit: int, lease_seconds: float
    ) -> list[ClaimedTask]:
        """Lease up to `limit` tasks where `plan` says, in its order.

        `lease_seconds` holds where the queue sets none. Empty as well when the worker is draining,
        cordoned, or of an older epoch. Queues with limits are passed by: see `claim_limited`.
        """
        rows = await _claim(self._db, worker, plan, limit, lease_seconds, limited=False)
        return [_claimed(row, plan.names) for row in rows]

    async def limits(self, queue_ids: Sequence[int]) -> list[Allowance]:
        """Glance at what the limits of these queues allow now, where something waits."""
        return await _allowances(self._db, queue_ids)

    async def claim_limited(
        self,
        worker: WorkerIdentity,
        plan: ClaimPlan,
        queue_id: int,
        limit: int,
        lease_seconds: float,
    ) -> tuple[list[ClaimedTask], int]:
        """Lease up to `limit` tasks of a queue with limits; return them and how many they allowed.

        The limits' row is locked in a statement before the one that counts what runs: one statement
        doing both counts what was there before it waited. Nothing else happens in the transaction.
        """

        async def act(session: Session) -> tuple[list[Record], int]:
            held = await session.fetchval(sql.load("limits_lock"), queue_id) is not None
            allowed = await _allowances(session, [queue_id])
            most = min(limit, allowed[0].tasks) if allowed else 0
            if most <= 0:
                return [], 0
            # Without limits to hold, the statement itself looks whether there are any by now.
            rows = await _claim(session, worker, plan, most, lease_seconds, limited=held)
            if rows and held:
                await session.execute(sql.load("limits_draw"), queue_id, len(rows))
            return rows, most

        rows, most = await self._db.retrying(act)
        return [_claimed(row, plan.names) for row in rows], most

    async def park(self, tasks: Sequence[ClaimedTask]) -> set[Lease]:
        """Set tasks of a paused type aside, uncharged, until it is resumed; return those set aside.

        Whatever happens, a parked task is tried again after an hour.
        """
        ordered = sorted(tasks, key=lambda task: task.id.bytes)
        rows = await self._db.fetch(
            sql.load("park"),
            [task.id for task in ordered],
            [task.lease.token for task in ordered],
            [task.type for task in ordered],
        )
        return {_lease(row) for row in rows}

    async def extend(self, leases: Sequence[Lease], lease_seconds: float) -> list[Extension]:
        """Heartbeat: extend the leases still held; an answer for each, in the order given."""
        if not leases:
            return []
        ordered = _by_task(leases)
        rows = await self._db.fetch(
            sql.load("extend"),
            [lease.task_id for lease in ordered],
            [lease.token for lease in ordered],
            lease_seconds,
        )
        held = {_lease(row): row["cancel_requested"] for row in rows}
        return [
            Extension(lease=lease, held=lease in held, cancel_requested=held.get(lease, False))
            for lease in leases
        ]

    async def progress(self, values: Mapping[Lease, str]) -> None:
        """Note how far these tasks have come (JSON), where the lease is still held."""
        if not values:
            return
        ordered = _by_task(values)
        await self._db.execute(
            sql.load("progress"),
            [lease.task_id for lease in ordered],
            [lease.token for lease in ordered],
            [values[lease] for lease in ordered],
        )

    async def finish(self, finishes: Sequence[Finish]) -> set[Lease]:
        """Record how attempts ended; return the leases that were recorded.

        A lease that is missing in the answer was lost: nothing of it changed. Of two ends of one
        lease the first counts. Raises DatabaseUnavailable when the outcome is unknown (see
        `recorded`), ValueError for an outcome that is not a holder's to report.
        """
        if not finishes:
            return set()
        if any(each.outcome in _NOT_A_HOLDERS for each in finishes):
            raise ValueError("lease_expired, replayed, moved and reprioritised are not a holder's")
        first = {each.lease: each for each in reversed(finishes)}
        ordered = sorted(first.values(), key=lambda each: each.lease.task_id.bytes)
        rows = await self._db.fetch(
            sql.load("finish"),
            [each.lease.task_id for each in ordered],
            [each.lease.token for each in ordered],
            [each.outcome.value for each in ordered],
            [each.run_seconds for each in ordered],
            column(_bounded(each.delay_seconds) for each in ordered),
            column(dumps_or_none(each.error) for each in ordered),
            column(dumps_or_none(each.result) for each in ordered),
        )
        return set(first) if len(rows) == len(ordered) else {_lease(row) for row in rows}

    async def recorded(self, leases: Sequence[Lease], since: datetime) -> set[Lease]:
        """Return those whose end is recorded: what to ask after an unknown commit result.

        `since` is a time before any of them can have ended, such as the oldest task's creation.
        """
        rows = await self._db.fetch(
            sql.load("tokens_recorded"),
            [lease.task_id for lease in leases],
            [lease.token for lease in leases],
            since,
        )
        return {_lease(row) for row in rows}


async def _claim(
    db: Database | Session,
    worker: WorkerIdentity,
    plan: ClaimPlan,
    limit: int,
    lease_seconds: float,
    *,
    limited: bool,
) -> list[Record]:
    return await db.fetch(
        sql.load("claim"),
        worker.id,
        worker.epoch,
        limit,
        lease_seconds,
        [each.queue_id for each in plan.ranges],
        [each.priority for each in plan.ranges],
        [each.lane for each in plan.ranges],
        [each.least_seq for each in plan.ranges],
        [each.beyond for each in plan.ranges],
        list(plan.whole),
        list(plan.guarded),
        limited,
    )


async def _allowances(db: Database | Session, queue_ids: Sequence[int]) -> list[Allowance]:
    rows = await db.fetch(sql.load("limits"), list(queue_ids))
    return [Allowance(row["queue_id"], row["tasks"], row["wait_seconds"]) for row in rows]


def _by_task(leases: Iterable[Lease]) -> list[Lease]:
    # bytes order is Postgres's order of uuids
    return sorted(leases, key=lambda lease: lease.task_id.bytes)


def _bounded(delay: float | None) -> float | None:
    """Return a delay that Postgres can add to a time: a handler may ask for anything."""
    return None if delay is None else min(MAX_DELAY_SECONDS, max(0.0, delay))


def _lease(row: Record) -> Lease:
    return Lease(row["task_id"], row["lease_token"])


def _claimed(row: Record, names: Mapping[int, str]) -> ClaimedTask:
    # By place, in the order of the statement's columns: by name it costs twice as much.
    (
        task_id, token, lease_seconds, queue_id, priority, seq, lane, retry_count, crash_count,
        has_body, kind, name, payload, headers, retry, max_retries, timeout_seconds, created_at,
        expires_at, expired, type_paused, waited_seconds,
    ) = row  # fmt: skip
    return ClaimedTask(
        Lease(task_id, token),
        has_body,
        expired,
        kind or "",
        name,
        names.get(queue_id, ""),
        queue_id,
        priority,
        seq,
        lane,
        loads(payload),
        loads(headers),
        retry_count,
        crash_count,
        max_retries or 0,
        timeout_seconds or 0.0,
        lease_seconds,
        stored_policy(retry),
        created_at,
        expires_at,
        type_paused,
        waited_seconds,
    )


_DEFAULT_POLICY = RetryPolicy()


@lru_cache(maxsize=1024)
def stored_policy(text: str | None) -> RetryPolicy:
    """Return a stored policy; one that cannot be read must not cost a whole claim its answer."""
    if not text:
        return _DEFAULT_POLICY
    try:
        policy = RetryPolicy.from_json(loads(text))
        if not any(policy.faults()):
            return policy
    except (TypeError, ValueError):
        pass
    log.warning("a stored retry policy is not valid, using the default: %s", text[:200])
    return _DEFAULT_POLICY
