"""This process's row in `workers`, and the claimer that claims in its name."""

import logging
from collections.abc import Sequence

from tidemill.errors import NotFound
from tidemill.models import Lease, WorkerIdentity, WorkerInfo
from tidemill.store import Store
from tidemill.store.claimer import Claimer

log = logging.getLogger("tidemill.worker")


class Registration:
    """Who we are in the database, from `enter` to `leave`."""

    def __init__(
        self,
        store: Store,
        info: WorkerInfo,
        *,
        queues: Sequence[str] | None,
        lease_seconds: float,
        strict: bool = False,
    ) -> None:
        """Describe the worker; nothing is registered yet. `strict`: the order of `queues` is."""
        self._store = store
        self._info = info
        self._queues = queues
        self._lease_seconds = lease_seconds
        self._strict = strict
        self._worker: WorkerIdentity | None = None
        self._claimer: Claimer | None = None

    @property
    def entered(self) -> bool:
        """Whether the worker has been registered."""
        return self._worker is not None

    @property
    def worker(self) -> WorkerIdentity:
        """The identity; after `enter` only."""
        if self._worker is None:
            raise RuntimeError("the worker is not registered")
        return self._worker

    @property
    def claimer(self) -> Claimer:
        """The claimer of the current identity; after `enter` only."""
        if self._claimer is None:
            raise RuntimeError("the worker is not registered")
        return self._claimer

    async def enter(self) -> None:
        """Register a new worker. Raises DatabaseUnavailable."""
        self._take(await self._store.workers.register(self._info))
        log.info("registered as worker %d", self.worker.id)

    async def renew(self, keep: Sequence[Lease]) -> int:
        """Raise the epoch and give back leases that are not in `keep`; return how many.

        Registers anew when the database does not know us any more. Raises DatabaseUnavailable.
        """
        try:
            self._take(await self._store.workers.bump_epoch(self.worker))
        except NotFound:
            await self.enter()
        return len(await self._store.workers.release_unknown(self.worker, keep))

    async def leave(self, keep: Sequence[Lease]) -> None:
        """Say that this worker is gone, and give back leases that are not in `keep`.

        Raises DatabaseUnavailable.
        """
        await self._store.workers.leave(self.worker)
        await self._store.workers.release_unknown(self.worker, keep)

    def _take(self, worker: WorkerIdentity) -> None:
        if self._claimer is None:
            self._claimer = Claimer(
                self._store,
                worker,
                queues=self._queues,
                lease_seconds=self._lease_seconds,
                strict=self._strict,
            )
        self._worker = self._claimer.worker = worker
