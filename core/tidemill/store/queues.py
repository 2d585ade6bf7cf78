"""Queues and their settings."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from tidemill import sql
from tidemill.db import Database, Session
from tidemill.errors import Conflict
from tidemill.jsontext import dumps
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
        async with self._db.transaction() as session:
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

    async def disown(self, uid: str) -> None:
        """A TaskQueue is gone: nobody owns its queues' settings, and its pause ends."""
        await self._db.execute(sql.load("queue_disown"), uid, None)


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
    await session.execute(sql.load("queue_limits_settle"), queue_id)
