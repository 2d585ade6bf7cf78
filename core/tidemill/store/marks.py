"""Marks on workers that are to go: draining and cordoned. Set by whoever scales them.

A draining worker claims nothing and shows itself unready; only one without tasks in hand gets the
mark, and no claim can slip past it. A cordoned one claims nothing either, but stays ready and goes
on with what it has. Each mark carries the term of who set it: an older one is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tidemill import sql
from tidemill.db import Database, Session
from tidemill.errors import StaleTerm


@dataclass(frozen=True, slots=True)
class PodWorker:
    """A worker process of a pod: its marks, and how many tasks it has in hand."""

    id: int
    pod_uid: str
    container: str | None
    draining: bool
    cordoned: bool
    leases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Workers by the mark they are to have; `force` drains also those with tasks in hand."""

    drain: Sequence[int] = ()
    force: Sequence[int] = ()
    cordon: Sequence[int] = ()
    unmark: Sequence[int] = ()

    @property
    def workers(self) -> list[int]:
        """All of them."""
        return sorted({*self.drain, *self.force, *self.cordon, *self.unmark})


class MarkStore:
    """Marks on the workers of `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def workers_of(self, pod_uids: Sequence[str]) -> list[PodWorker]:
        """Return the workers of these pods that have not left."""
        rows = await self._db.fetch(sql.load("pod_workers"), list(pod_uids))
        return [PodWorker(**dict(row)) for row in rows]

    async def write(self, marks: Marks, *, term: int) -> frozenset[int]:
        """Set the marks; return the workers that are draining by it.

        Missing are those that have a task in hand by now. Raises StaleTerm when any of them was
        marked in a later term.
        """
        if not marks.workers:
            return frozenset()

        async def act(session: Session) -> frozenset[int]:
            await _lock(session, marks.workers, term)
            await session.fetch(sql.load("workers_unmark"), list(marks.unmark), term)
            await session.fetch(sql.load("workers_cordon"), list(marks.cordon), term)
            drain = sql.load("workers_drain")
            idle = await session.fetch(drain, list(marks.drain), term, False)
            busy = await session.fetch(drain, list(marks.force), term, True)
            return frozenset(row["id"] for row in (*idle, *busy))

        draining = await self._db.retrying(act)
        # Outside the transaction: a notification takes a lock of the whole server at commit.
        await self._db.execute(sql.load("cancel_notify"), marks.workers)
        return draining

    async def draw_term(self, seen: int) -> int:
        """Return a term above `seen` and above all that were drawn or written on a mark before."""
        term: int = await self._db.fetchval(sql.load("term_draw"), seen)
        return term

    async def bury(self, workers: Sequence[int], *, term: int) -> int:
        """Take it that these are dead: they claim nothing more, and their leases expire now.

        Returns how many leases; whoever looks after expired ones is told to look now. A process
        that lives all the same has lost them: it can record nothing. Raises StaleTerm as `write`.
        """

        async def act(session: Session) -> int:
            await _lock(session, workers, term)
            await session.fetch(sql.load("workers_drain"), list(workers), term, True)
            return len(await session.fetch(sql.load("worker_expire"), list(workers)))

        expired = await self._db.retrying(act)
        if expired:
            await self._db.execute(sql.load("recover_notify"))
        return expired


async def _lock(session: Session, workers: Sequence[int], term: int) -> None:
    rows = await session.fetch(sql.load("workers_lock"), list(workers))
    latest = max((row["mark_term"] for row in rows), default=0)
    if latest > term:
        raise StaleTerm(latest)
