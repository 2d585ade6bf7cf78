"""Claiming for one worker process: which queues there are, where to look, and who cannot run."""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from tidemill.models import ClaimedTask, Finish, WorkerIdentity
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.hints import ClaimHints
from tidemill.store.queues import QueueInfo

log = logging.getLogger(__name__)

QUEUES_SECONDS = 5.0
"""How long the list of queues is believed."""


class Claimer:
    """Claims tasks for one worker. One call at a time."""

    def __init__(
        self,
        store: Store,
        worker: WorkerIdentity,
        *,
        queues: Sequence[str] | None,
        lease_seconds: float,
    ) -> None:
        """Claim from `queues`, for `lease_seconds`.

        A queue named twice is looked at first twice as often. None = all that no TaskQueue owns,
        new ones too.
        """
        self.worker = worker
        self._store = store
        self._wanted = None if queues is None else Counter(queues)
        self._lease_seconds = lease_seconds
        self._names: dict[int, str] = {}
        self._turns: list[int] = []
        self._names_until = float("-inf")
        self._hints = ClaimHints()

    def hear(self, queue: str) -> None:
        """A hint named `queue` ('' = any may have something)."""
        self._hints.look_everywhere()
        if queue and queue not in self._names.values() and self._wants(queue):
            self._names_until = float("-inf")

    async def claim(self, limit: int) -> list[ClaimedTask]:
        """Return up to `limit` tasks to run, leased to this worker.

        Tasks that cannot run (past their `expires_at`, or without a body) are ended here. Raises
        DatabaseUnavailable; the claim may have happened then (see `WorkerStore.release_unknown`).
        """
        await self._refresh_queues()
        if limit <= 0 or not self._names:
            return []
        began = time.monotonic()
        plan = self._hints.plan(self._names, self._turns, began)
        if not plan.ranges and not plan.whole:
            return []
        claimed = await self._store.leases.claim(self.worker, plan, limit, self._lease_seconds)
        self._hints.learn(plan, claimed, limit, began, time.monotonic())
        if all(task.has_body and not task.expired for task in claimed):
            return claimed
        await self._bury([task for task in claimed if not task.has_body or task.expired])
        return [task for task in claimed if task.has_body and not task.expired]

    async def _refresh_queues(self) -> None:
        now = time.monotonic()
        if now < self._names_until:
            return
        found = await self._store.queues.list()
        names = {queue.id: queue.name for queue in found if self._takes(queue)}
        if names.keys() != self._names.keys():
            self._hints.look_everywhere()
        self._names, self._names_until = names, now + QUEUES_SECONDS
        self._turns = [each for each, name in names.items() for _ in range(self._weight(name))]

    def _takes(self, queue: QueueInfo) -> bool:
        # "All queues" leaves out those that a TaskQueue names: they have workers of their own.
        if self._wanted is None:
            return queue.owner_uid is None
        return queue.name in self._wanted

    def _weight(self, queue: str) -> int:
        return 1 if self._wanted is None else self._wanted[queue]

    def _wants(self, queue: str) -> bool:
        return self._wanted is None or queue in self._wanted

    async def _bury(self, tasks: Sequence[ClaimedTask]) -> None:
        await self._store.leases.finish([_ended(task) for task in tasks])
        for task in tasks:
            what = "expired before it started" if task.has_body else "has no body"
            log.warning("task %s %s", task.id, what, extra={"queue": task.queue})


def _ended(task: ClaimedTask) -> Finish:
    if task.has_body:
        error = {"type": "Expired", "message": "not started by its expires_at"}
        return Finish(lease=task.lease, outcome=Outcome.CANCELLED, error=error)
    error = {"type": "BodyMissing", "message": "the task's body is gone"}
    return Finish(lease=task.lease, outcome=Outcome.FAILED, error=error)
