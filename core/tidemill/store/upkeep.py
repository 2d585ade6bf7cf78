"""What keeps the queue healthy. Every act is harmless twice, and in several processes at once."""

import time
from collections import Counter

from tidemill import sql
from tidemill.db import Database, Record, Session
from tidemill.store.floors import Floor


class UpkeepStore:
    """Maintenance of `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db
        self._due = Floor()
        self._expired = Floor()

    async def promote(self, limit: int) -> Counter[str]:
        """Move up to `limit` due tasks to their queues; return how many by queue."""
        rows = await self._search(self._due, "promote", limit)
        return Counter({row["queue"]: row["promoted"] for row in rows})

    async def recover(self, limit: int, max_crashes: int) -> Counter[tuple[str, str]]:
        """Take back up to `limit` expired leases; return how many by (queue, what became of it)."""
        rows = await self._search(self._expired, "recover", limit, max_crashes)
        return Counter((row["queue"], row["outcome"]) for row in rows)

    async def _search(self, floor: Floor, name: str, limit: int, *args: int) -> list[Record]:
        """Run the search `name` from where `floor` says; return its rows but the last, the time."""
        began = time.monotonic()
        *rows, last = await self._db.fetch(sql.load(name), limit, *args, floor.start(began))
        found = last.get("promoted") or len(rows)
        floor.learn(last["at"], began, time.monotonic(), complete=found < limit)
        return rows

    async def fold(self, limit: int) -> int:
        """Fold up to `limit` appended statistics into buckets; 0 when another process is at it."""

        async def act(session: Session) -> int:
            if not await session.fetchval(sql.load("fold_lock")):
                return 0
            folded: int = await session.fetchval(sql.load("fold"), limit)
            return folded

        return await self._db.retrying(act)

    async def expire(self, limit: int) -> int:
        """Remove what is past its keep time; return how many rows went."""
        removed = _affected(await self._db.execute(sql.load("keys_expire"), limit))
        removed += _affected(await self._db.execute(sql.load("slots_expire"), limit))
        for statement in ("buckets_expire", "workers_expire", "decisions_expire"):
            removed += _affected(await self._db.execute(sql.load(statement)))
        return removed

    async def ensure_partitions(self, days_ahead: int = 7) -> int:
        """Create the missing daily partitions; return how many."""
        made: int = await self._db.fetchval(sql.load("partitions_ensure"), days_ahead)
        return made


def _affected(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
