"""Purges: a TaskQueue with deletionPolicy Purge is gone, and the tasks of its queue go too.

What waits and the dead letters are deleted. What runs is left to its end, and what it leaves to
be retried goes then; what ended well is removed by retention, as ever. The queue stays, and so do
tasks that were enqueued after the purge was ordered: producers may go on, and it ends all the same.
"""

from tidemill import sql
from tidemill.acts import Reach, TaskFilter
from tidemill.db import Database
from tidemill.store.bulk import BulkStore


class PurgeStore:
    """Purges of `db`'s queues."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db
        self._bulk = BulkStore(db)

    async def order(self, uid: str) -> str | None:
        """Have the queue of an owner that is gone purged; return its name.

        None when the owner says Retain, or was seen within the last 60 s by Postgres' clock.
        """
        name: str | None = await self._db.fetchval(sql.load("queue_purge"), uid)
        return name

    async def step(self, most: int) -> dict[str, int]:
        """Delete up to `most` tasks of each queue that is to be purged; return how many of each."""
        gone = dict[str, int]()
        for row in await self._db.fetch(sql.load("queues_purging")):
            tasks = TaskFilter(queue=row["name"], created_before=row["ordered_at"])
            bulk = await self._bulk.delete(tasks, Reach(limit=most))
            if bulk.matched:
                gone[row["name"]] = bulk.changed
            elif not await self._any_lives(tasks):
                await self._db.execute(sql.load("queue_purged"), row["id"])
        return gone

    async def _any_lives(self, tasks: TaskFilter) -> bool:
        """Return whether any of them waits or runs, in one look: one may go from this to that."""
        return (await self._bulk.cancel(tasks, Reach(limit=1, dry_run=True))).matched > 0
