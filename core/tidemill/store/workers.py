"""Worker processes: arrival, heartbeat of the process itself, departure, and the dead."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from tidemill import sql
from tidemill.db import Database, Session
from tidemill.errors import NotFound
from tidemill.models import Finish, Lease, WorkerIdentity, WorkerInfo
from tidemill.states import Outcome
from tidemill.store.leases import LeaseStore


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The marks on a worker. `known` is False when its row is gone or it has left."""

    known: bool
    epoch: int = 0
    draining: bool = False
    cordoned: bool = False


class WorkerStore:
    """Workers on `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def register(self, info: WorkerInfo) -> WorkerIdentity:
        """Announce a new worker process.

        With a pod uid, workers of the same container before its restart are known to be dead: their
        leases expire at once. Without one that is never assumed.
        """
        row = await self._db.fetchrow(
            sql.load("worker_register"),
            info.name,
            info.slots,
            list(info.queues),
            info.version,
            info.hostname,
            info.pid,
            info.pod_uid,
            info.pod_name,
            info.container,
            info.instance,
        )
        if row is None:  # INSERT … RETURNING always returns; for the type checker
            raise NotFound("worker")
        if info.pod_uid and info.container and info.instance:
            await self._bury_predecessors(info.pod_uid, info.container, info.instance)
        return WorkerIdentity(row["id"], row["epoch"])

    async def heartbeat(self, worker: WorkerIdentity) -> WorkerState:
        """Say that the process lives, and hear the marks on it."""
        row = await self._db.fetchrow(sql.load("worker_seen"), worker.id)
        if row is None:
            return WorkerState(known=False)
        return WorkerState(
            known=True, epoch=row["epoch"], draining=row["draining"], cordoned=row["cordoned"]
        )

    async def queues(self, worker_id: int) -> list[str] | None:
        """Return what it said it claims from (`*`: all); None when nobody knows it."""
        found = await self._db.fetchval(sql.load("worker_queues"), worker_id)
        return None if found is None else list(found)

    async def leave(self, worker: WorkerIdentity) -> None:
        """Say goodbye: nothing is claimed for it any more."""
        await self._db.execute(sql.load("worker_leave"), worker.id)

    async def bump_epoch(self, worker: WorkerIdentity) -> WorkerIdentity:
        """Shut out claims of this worker that are still in flight; return its new identity.

        Raises NotFound when its row is gone: register anew.
        """
        epoch = await self._db.fetchval(sql.load("worker_epoch"), worker.id)
        if epoch is None:
            raise NotFound(f"worker {worker.id}")
        return WorkerIdentity(worker.id, epoch)

    async def release_unknown(self, worker: WorkerIdentity, keep: Sequence[Lease]) -> list[UUID]:
        """Give back, uncharged, what the worker holds beyond `keep`; return the tasks' ids."""
        rows = await self._db.fetch(
            sql.load("worker_leases"), worker.id, [lease.token for lease in keep]
        )
        released = await LeaseStore(self._db).finish(
            [
                Finish(lease=Lease(row["task_id"], row["lease_token"]), outcome=Outcome.RELEASED)
                for row in rows
            ]
        )
        return sorted((lease.task_id for lease in released), key=lambda each: each.bytes)

    async def cancel_requested(self, worker: WorkerIdentity) -> list[Lease]:
        """Return the leases of this worker whose tasks somebody asked to cancel."""
        rows = await self._db.fetch(sql.load("worker_cancels"), worker.id)
        return [Lease(row["task_id"], row["lease_token"]) for row in rows]

    async def expire(self, worker_ids: Sequence[int]) -> int:
        """Dead workers: make their leases recoverable at once; return how many."""
        return len(await self._db.fetch(sql.load("worker_expire"), list(worker_ids)))

    async def bury(self, *, hostname: str, pid: int) -> int:
        """Take the word of its parent that this process is dead: its leases expire at once.

        Returns how many workers it was.
        """
        rows = await self._db.fetch(sql.load("worker_process"), hostname, pid)
        return await self._bury([row["id"] for row in rows])

    async def _bury_predecessors(self, pod_uid: str, container: str, instance: str) -> None:
        rows = await self._db.fetch(sql.load("worker_predecessors"), pod_uid, container, instance)
        await self._bury([row["id"] for row in rows])

    async def _bury(self, dead: Sequence[int]) -> int:
        if not dead:
            return 0

        async def act(session: Session) -> int:
            # The mark first: it waits for a claim still in flight, whose leases then expire too.
            for each in sorted(dead):
                await session.execute(sql.load("worker_leave"), each)
            await session.fetch(sql.load("worker_expire"), list(dead))
            return len(dead)

        return await self._db.retrying(act)
