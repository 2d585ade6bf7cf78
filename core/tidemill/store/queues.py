"""Queues and their settings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from tidemill import sql
from tidemill.db import Database, Record, Session
from tidemill.errors import Conflict, QueueNotFound
from tidemill.jsontext import dumps, loads
from tidemill.retry import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """A queue as claimers and readers need it. `paused` by either side."""

    id: int
    name: str
    paused: bool
    limited: bool
    lease_seconds: float | None
    owner_uid: str | None
    owner_name: str | None
    owner_policy: str | None
    max_running: int | None
    rate_tasks: float | None
    rate_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """What a TaskQueue may set on its queue; None = left out, so not its to say."""

    paused: bool | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    retry: RetryPolicy | None = None
    lease_seconds: float | None = None
    succeeded_seconds: float | None = None
    failed_seconds: float | None = None
    cancelled_seconds: float | None = None
    rate_tasks: float | None = None
    rate_seconds: float | None = None
    max_running: int | None = None

    def given(self) -> list[str]:
        """Return the names of the settings that are set."""
        return [each.name for each in fields(self) if getattr(self, each.name) is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue with all its settings, as people set them; None = the system's default.

    `paused` by people, `owner_paused` by the TaskQueue that owns it: it runs when neither says so.
    """

    id: int
    name: str
    paused: bool
    owner_paused: bool
    owner_name: str | None
    owner_fields: tuple[str, ...]
    priority: int | None
    max_retries: int | None
    timeout_seconds: float | None
    retry: RetryPolicy | None
    lease_seconds: float | None
    max_depth: int | None
    max_running: int | None
    rate_tasks: float | None
    rate_seconds: float | None
    unknown_types: str | None
    starvation_seconds: float | None
    succeeded_seconds: float | None
    failed_seconds: float | None
    cancelled_seconds: float | None
    created_at: datetime
    updated_at: datetime


_COLUMNS: Final = (
    "priority",
    "max_retries",
    "timeout_seconds",
    "retry",
    "lease_seconds",
    "max_depth",
    "unknown_types",
    "starvation_seconds",
    "succeeded_seconds",
    "failed_seconds",
    "cancelled_seconds",
)
_LIMITS: Final = ("rate_tasks", "rate_seconds", "max_running")
SETTINGS: Final = frozenset(_COLUMNS + _LIMITS)
"""What can be set of a queue."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A TaskQueue: its uid, `namespace/name`, and what becomes of the queue without it."""

    uid: str
    name: str
    deletion_policy: str = "Retain"


class QueueStore:
    """Queues on `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def list(self) -> Sequence[QueueInfo]:
        """Return all queues by name."""
        return [QueueInfo(**dict(row)) for row in await self._db.fetch(sql.load("queues"))]

    async def configure(self, name: str, settings: QueueSettings, owner: Owner) -> None:
        """Write the settings that the owning TaskQueue gives, and make it the queue's owner.

        A setting that it gave before and gives no more is cleared; others are left alone; a queue
        that it owned under another name is given up. Raises Conflict when another TaskQueue owns
        the queue (and was seen in the last minute).
        """
        given = settings.given()

        async def act(session: Session) -> None:
            before: list[str] = await session.fetchval(sql.load("queue_fields"), name) or []
            queue_id = await session.fetchval(
                sql.load("queue_configure"),
                name,
                owner.uid,
                owner.name,
                owner.deletion_policy,
                given,
                bool(settings.paused),
                settings.max_retries,
                settings.timeout_seconds,
                dumps(settings.retry.to_json()) if settings.retry else None,
                settings.lease_seconds,
                settings.succeeded_seconds,
                settings.failed_seconds,
                settings.cancelled_seconds,
            )
            if queue_id is None:
                raise Conflict(f"queue {name!r} belongs to another TaskQueue")
            await session.execute(sql.load("queue_disown"), owner.uid, name)
            await _write_limits(session, queue_id, settings, {*before, *given})

        await self._db.retrying(act)

    async def all(self) -> Sequence[Queue]:
        """Return all queues with all their settings, by name."""
        return [_queue(row) for row in await self._db.fetch(sql.load("queue"), None)]

    async def get(self, name: str) -> Queue | None:
        """Return the queue `name`, or None."""
        row = await self._db.fetchrow(sql.load("queue"), name)
        return _queue(row) if row else None

    async def put(self, name: str, changes: Mapping[str, Any]) -> Queue:
        """Make the queue if need be, and write `changes`, by names of SETTINGS; None clears one.

        Raises Conflict, naming the TaskQueue, for a setting that belongs to the queue's owner;
        ValueError for a name that is no setting.
        """
        if unknown := changes.keys() - SETTINGS:
            raise ValueError(f"not settings of a queue: {', '.join(sorted(unknown))}")

        async def write(session: Session) -> Queue:
            await session.execute(sql.load("queue_ensure"), name)
            await session.execute(sql.load("queue_lock"), name)
            before = await _existing(session, name)
            if owned := sorted(changes.keys() & set(before.owner_fields)):
                raise Conflict(
                    f"{', '.join(owned)} of queue {name!r} belongs to TaskQueue {before.owner_name}"
                )
            after = {each: getattr(before, each) for each in SETTINGS} | dict(changes)
            policy = dumps(after["retry"].to_json()) if after["retry"] else None
            columns = [after[each] for each in _COLUMNS]
            columns[_COLUMNS.index("retry")] = policy
            await session.execute(sql.load("queue_write"), before.id, *columns)
            await _set_limits(session, before.id, *(after[each] for each in _LIMITS))
            return await _existing(session, name)

        return await self._db.retrying(write)

    async def pause(self, name: str) -> Queue:
        """Let no task of the queue start any more. Raises QueueNotFound."""
        return await self._pause(name, paused=True)

    async def resume(self, name: str) -> Queue:
        """End a `pause`; the owner's pause is its own. Raises QueueNotFound."""
        return await self._pause(name, paused=False)

    async def delete(self, name: str) -> None:
        """Delete a queue that holds nothing: no task that waits, runs, or is still kept.

        Raises QueueNotFound, or Conflict while it holds tasks or belongs to a TaskQueue.
        """

        async def drop(session: Session) -> None:
            await session.execute(sql.load("queue_delete_lock"), name)
            queue = await _existing(session, name)
            reason = queue.owner_name and f"TaskQueue {queue.owner_name} owns it"
            reason = reason or await _held(session, queue.id)
            if reason or await session.fetchval(sql.load("queue_delete"), queue.id) is None:
                raise Conflict(
                    f"queue {name!r} cannot be deleted: {reason or 'it has an owner now'}"
                )
            await session.execute(sql.load("queue_forget"), queue.id)

        await self._db.retrying(drop)

    async def disown(self, uid: str) -> None:
        """A TaskQueue is gone: nobody owns its queues' settings, and its pause ends."""
        await self._db.execute(sql.load("queue_disown"), uid, None)

    async def seen(self, uids: Collection[str]) -> frozenset[str]:
        """Note that these TaskQueues are there; return those that own a queue."""
        rows = await self._db.fetch(sql.load("queues_seen"), sorted(uids))
        return frozenset(row["owner_uid"] for row in rows)

    async def _pause(self, name: str, *, paused: bool) -> Queue:
        await self._db.execute(sql.load("queue_pause"), name, paused)
        queue = await self.get(name)
        if queue is None:
            raise QueueNotFound(f"no queue {name!r}")
        return queue


async def _existing(session: Session, name: str) -> Queue:
    row = await session.fetchrow(sql.load("queue"), name)
    if row is None:
        raise QueueNotFound(f"no queue {name!r}")
    return _queue(row)


async def _held(session: Session, queue_id: int) -> str:
    """Return what a queue still holds, in words; empty when it is empty."""
    row = await session.fetchrow(sql.load("queue_holds"), queue_id)
    held = {status: count for status, count in dict(row or {}).items() if count}
    told = ", ".join(f"{count} {status}" for status, count in held.items())
    return told and f"it holds tasks ({told}); ended ones go when their keep time is over"


def _queue(row: Record) -> Queue:
    values: dict[str, Any] = dict(row)
    values["owner_fields"] = tuple(row["owner_fields"])
    if row["retry"]:
        values["retry"] = RetryPolicy.from_json(loads(row["retry"]))
    return Queue(**values)


async def _write_limits(
    session: Session, queue_id: int, settings: QueueSettings, owned: Collection[str]
) -> None:
    """Write the limits among the settings that are `owned`: given now, or given before."""
    rate, running = "rate_tasks" in owned, "max_running" in owned
    if not (rate or running):
        return
    await session.execute(
        sql.load("queue_limits"),
        queue_id,
        rate,
        settings.rate_tasks,
        settings.rate_seconds,
        running,
        settings.max_running,
    )
    await _settle_limits(session, queue_id)


async def _set_limits(
    session: Session,
    queue_id: int,
    rate_tasks: float | None,
    rate_seconds: float | None,
    max_running: int | None,
) -> None:
    await session.execute(
        sql.load("queue_limits"), queue_id, True, rate_tasks, rate_seconds, True, max_running
    )
    await _settle_limits(session, queue_id)


async def _settle_limits(session: Session, queue_id: int) -> None:
    await session.execute(sql.load("queue_limits_settle"), queue_id)
    await session.execute(sql.load("queue_limits_leases"), queue_id)
