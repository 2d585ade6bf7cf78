"""Short ways to fill a queue, claim and end tasks, and look at rows, for tests of the store."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from tidemill.db import Database, Session
from tidemill.models import ClaimedTask, Enqueued, Finish, NewTask, WorkerIdentity, WorkerInfo
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.leases import ClaimPlan

LOOK_SECONDS = 0.01
LONGEST_SECONDS = 60.0


async def worker(store: Store, **said: Any) -> WorkerIdentity:
    """Register a worker."""
    usual: dict[str, Any] = {
        "name": "w",
        "slots": 10,
        "queues": ("*",),
        "version": "0",
        "hostname": "host",
        "pid": 1,
    }
    return await store.workers.register(WorkerInfo(**(usual | said)))


async def enqueue(store: Store, count: int = 1, **fields: Any) -> list[Enqueued]:
    """Enqueue `count` equal tasks."""
    return await store.tasks.enqueue([NewTask(**({"type": "t"} | fields))] * count)


async def claim(
    store: Store,
    identity: WorkerIdentity,
    limit: int = 100,
    *,
    queues: Sequence[str] | None = None,
    lease_seconds: float = 30.0,
) -> list[ClaimedTask]:
    """Claim by reading whole queues: all, or those named in this order."""
    known = {each.name: each.id for each in await store.queues.list()}
    ids = [known[name] for name in (known if queues is None else queues)]
    plan = ClaimPlan(whole=tuple(ids), names={known[name]: name for name in known})
    return await store.leases.claim(identity, plan, limit, lease_seconds)


def store_on(session: Session) -> Store:
    """Return a store whose calls go into an open transaction."""
    return Store.of(session)  # type: ignore[arg-type]  # a Session answers a Database's calls


def ends(tasks: Iterable[ClaimedTask], outcome: Outcome, **said: Any) -> list[Finish]:
    """Return how `tasks` ended, all alike."""
    return [Finish(lease=task.lease, outcome=outcome, **said) for task in tasks]


async def expire_leases(db: Database, *task_ids: UUID) -> None:
    """Let time pass for these leases (none named: all), as a dead worker would."""
    await db.execute(
        "UPDATE tidemill.leases SET locked_until = statement_timestamp() - interval '1 s' "
        "WHERE cardinality($1::uuid[]) = 0 OR task_id = ANY ($1)",
        list(task_ids),
    )


async def make_due(db: Database) -> None:
    """Let time pass for scheduled tasks, in their order."""
    await db.execute(
        """UPDATE tidemill.scheduled s
              SET run_at = statement_timestamp() - interval '1 s' + o.place * interval '1 us'
             FROM (SELECT task_id, row_number() OVER (ORDER BY run_at, task_id) AS place
                     FROM tidemill.scheduled) AS o
            WHERE s.task_id = o.task_id"""
    )


async def count(db: Database, table: str) -> int:
    """Return the number of rows in a table of ours."""
    found: int = await db.fetchval(f"SELECT count(*) FROM tidemill.{table}")  # noqa: S608 - a test's own
    return found


async def unended(db: Database) -> int:
    """Return how many tasks wait, run or are scheduled: in one snapshot, for they move between."""
    found: int = await db.fetchval(
        "SELECT (SELECT count(*) FROM tidemill.ready) + (SELECT count(*) FROM tidemill.scheduled) "
        "+ (SELECT count(*) FROM tidemill.leases)"
    )
    return found


async def attempts(db: Database, task_id: UUID) -> list[dict[str, Any]]:
    """Return the recorded ends of a task's attempts, in order."""
    rows = await db.fetch(
        "SELECT * FROM tidemill.attempts WHERE task_id = $1 ORDER BY token", task_id
    )
    return [dict(row) for row in rows]


def patience() -> asyncio.Timeout:
    """Bound a loop that waits for what other sessions or processes do."""
    return asyncio.timeout(LONGEST_SECONDS)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until `condition` holds: for what other sessions or processes do."""
    async with patience():
        while not await condition():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(LOOK_SECONDS)


async def until_blocked(db: Database, count: int = 1) -> None:
    """Wait until `count` sessions of this database wait for a lock that another one holds."""
    waiting = (
        "SELECT count(*) >= $1 FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' "
        "AND cardinality(pg_blocking_pids(pid)) > 0"
    )
    await until(lambda: db.fetchval(waiting, count))
