"""Purges: a TaskQueue with deletionPolicy Purge is gone, and the tasks of its queue go too.

What waits and the dead letters are deleted. What runs is left to its end, and what it leaves to
be retried goes then; what ended well is removed by retention, as ever. The queue stays.
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
            holds = dict(await self._db.fetchrow(sql.load("queue_holds"), row["id"]) or {})
            if not any(holds.get(each) for each in ("queued", "scheduled", "failed")):
                if not holds.get("running"):
                    await self._db.execute(sql.load("queue_purged"), row["id"])
                continue
            bulk = await self._bulk.delete(TaskFilter(queue=row["name"]), Reach(limit=most))
            gone[row["name"]] = bulk.changed
        return gone
