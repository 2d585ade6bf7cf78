"""Lists for people: tasks page by page, and the workers that are there.

A page of tasks is bounded twice: by how many it holds, and by how many were looked at to fill it.
So a filter that fits next to nothing costs a page little; it gives short pages, or empty ones, and
`next` says where to go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tidemill import sql
from tidemill.db import Database, Record
from tidemill.jsontext import loads
from tidemill.states import Status

MOST_LOOKED: Final = 10_000
"""Tasks looked at for one page."""

_LONGEST_STRETCH: Final = 2000
_GROWTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which tasks to list; all that is given must hold."""

    status: Status | None = None
    queue: str | None = None
    type: str | None = None
    name: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    queues: Sequence[str] | None = None
    """Those that may be seen; None: all"""

    @property
    def by_place(self) -> bool:
        """Whether every task that is looked at is one to list."""
        walked = self.status not in (Status.SUCCEEDED, Status.CANCELLED)
        filters = (self.queue, self.queues, self.type, self.name)
        return walked and all(each is None for each in filters)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask:
    """A task in a list: as it is now, without what may be large (payload, headers, result)."""

    id: UUID
    name: str | None
    type: str
    queue: str
    status: Status
    priority: int
    idempotency_key: str | None
    retry_count: int
    crash_count: int
    max_retries: int
    timeout_seconds: float
    created_at: datetime
    run_at: datetime
    first_run_at: datetime | None
    expires_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    worker_id: int | None
    cancel_requested_at: datetime | None
    last_error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, newest first. `next` is the id below which the next page starts; None = the end."""

    tasks: list[ListedTask]
    next: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWorker:
    """A worker process that has not left. `seen_seconds` is the age of its last heartbeat."""

    id: int
    name: str
    hostname: str
    pid: int
    pod_name: str | None
    version: str
    queues: Sequence[str]
    slots: int
    running: int
    draining: bool
    cordoned: bool
    started_at: datetime
    seen_at: datetime
    seen_seconds: float


class ListingStore:
    """Lists from `db`."""

    def __init__(self, db: Database) -> None:
        """Read `db`."""
        self._db = db

    async def tasks(self, wanted: Wanted, *, limit: int = 100, before: UUID | None = None) -> Page:
        """Return up to `limit` tasks below the id `before`, newest first."""
        found: list[ListedTask] = []
        left, stretch = MOST_LOOKED, limit if wanted.by_place else min(2 * limit, _LONGEST_STRETCH)
        while True:
            most, looking = limit - len(found), min(stretch, left)
            rows = await self._stretch(wanted, before, most, looking)
            fits = [_listed(row) for row in rows if row["id"] is not None]
            found.extend(fits)
            looked, last = rows[0]["looked"], rows[0]["last"]
            if len(found) == limit and (looked == looking or fits[-1].id != last):
                return Page(found, fits[-1].id)
            if looked < looking:
                return Page(found, None)
            left -= looked
            if left <= 0:
                return Page(found, last)
            before, stretch = last, min(stretch * _GROWTH, _LONGEST_STRETCH)

    async def workers(
        self, *, after: int | None = None, limit: int = 1000, queues: Sequence[str] | None = None
    ) -> list[ListedWorker]:
        """Return up to `limit` workers with ids above `after`, in order.

        With `queues`, those that claim from one of them, and of what they hold the tasks of these.
        """
        seen = None if queues is None else list(queues)
        rows = await self._db.fetch(sql.load("workers_list"), after, limit, seen)
        return [ListedWorker(**dict(row)) for row in rows]

    async def _stretch(
        self, wanted: Wanted, before: UUID | None, most: int, looking: int
    ) -> list[Record]:
        return await self._db.fetch(
            sql.load("tasks_list"),
            wanted.status,
            wanted.queue,
            wanted.type,
            wanted.name,
            before,
            wanted.created_after,
            wanted.created_before,
            most,
            looking,
            None if wanted.queues is None else list(wanted.queues),
        )


def _listed(row: Record) -> ListedTask:
    values = dict(row)
    del values["looked"], values["last"]
    values["last_error"] = loads(values["last_error"])
    values["status"] = Status(values["status"])
    return ListedTask(**values)
