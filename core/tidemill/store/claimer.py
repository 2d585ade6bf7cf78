"""Claiming for one worker process: which queues there are, where to look, and who cannot run."""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from tidemill.models import ClaimedTask, Finish, Lease, WorkerIdentity
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.hints import ClaimHints
from tidemill.store.leases import ClaimPlan
from tidemill.store.queues import QueueInfo
from tidemill.store.turns import Turns

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
        strict: bool = False,
    ) -> None:
        """Claim from `queues`, for `lease_seconds`.

        A queue named twice is looked at first twice as often; with `strict`, the queue that is
        named first is always first. None = all that no TaskQueue owns, new ones too.
        """
        self.worker = worker
        self.lease_seconds = lease_seconds
        self.retry_in: float | None = None
        """Seconds until it is worth to claim again though nothing new came; None = no such time."""
        self.more = True
        """Whether the last claim may have left something that it could have taken."""
        self._store = store
        self._wanted = None if queues is None else Counter(queues)
        self._strict = strict
        self._names: dict[int, str] = {}
        self._limited: dict[int, ClaimHints] = {}
        self._turns = Turns(strict=strict)
        self._names_until = float("-inf")
        self._hints = ClaimHints(strict=strict)

    def hear(self, queue: str) -> None:
        """A hint named `queue` ('' = any may have something)."""
        if queue and queue not in self._names.values() and self._wants(queue):
            self._names_until = float("-inf")

    def is_limited(self, queue_id: int) -> bool:
        """Whether the queue has limits, as far as is known: an end there makes room for others."""
        return queue_id in self._limited

    @property
    def has_limits(self) -> bool:
        """Whether any of its queues has limits, as far as is known."""
        return bool(self._limited)

    async def claim(self, limit: int, *, free: int | None = None) -> list[ClaimedTask]:
        """Return up to `limit` tasks to run, leased to this worker.

        Of queues with limits, up to `free` (default `limit`): a task that only waits in this
        process would hold a place that another's could run in. Tasks that cannot run (past their
        `expires_at`, without a body, of a paused type) are put where they belong. Raises
        DatabaseUnavailable; the claim may have happened then (see `WorkerStore.release_unknown`).
        """
        await self._refresh_queues()
        self.retry_in = None
        self._hints.start(time.monotonic())
        claimed: list[ClaimedTask] = []
        for limited, queues in self._turns.segments(self._turns.next(), self._limited):
            room = limit - len(claimed)
            if limited and free is not None:
                room = min(room, max(free - len(claimed), self._least(claimed)))
            if room > 0:
                take = self._claim_limited if limited else self._claim_open
                claimed += await take(queues, room)
        self._wait_at_most(self._hints.wait(time.monotonic()))
        runnable = await self._runnable(claimed)
        self.more = len(claimed) >= limit or len(runnable) < len(claimed)
        return runnable

    def _least(self, claimed: Sequence[ClaimedTask]) -> int:
        """Return how many tasks a queue with limits gets though no slot is free.

        One, once it is first in turn beside queues without limits: these fill what is claimed
        ahead, and would leave it nothing for ever.
        """
        return int(not claimed and len(self._limited) < len(self._names))

    async def _claim_open(self, queues: Sequence[int], limit: int) -> list[ClaimedTask]:
        """Claim from queues without limits: one statement, or two with starved tasks first."""
        starved = await self._claim_starved(queues, limit)
        if len(starved) == limit:
            return starved
        began = time.monotonic()
        plan = self._hints.plan(queues, self._names)
        if not plan.ranges and not plan.whole:
            return starved
        limit -= len(starved)
        claimed = await self._store.leases.claim(self.worker, plan, limit, self.lease_seconds)
        self._hints.learn(plan, claimed, limit, began, time.monotonic())
        return starved + claimed

    async def _claim_starved(self, queues: Sequence[int], limit: int) -> list[ClaimedTask]:
        began = time.monotonic()
        plan = self._hints.guard(queues, self._names)
        if plan is None:
            return []
        claimed = await self._store.leases.claim(self.worker, plan, limit, self.lease_seconds)
        self._hints.learn_guard(began, time.monotonic())
        return claimed

    async def _claim_limited(self, queues: Sequence[int], limit: int) -> list[ClaimedTask]:
        """Claim from queues with limits, in a transaction for each that lets something run."""
        claimed: list[ClaimedTask] = []
        allowed = {each.queue_id: each for each in await self._store.leases.limits(queues)}
        for queue in queues:
            allowance = allowed.get(queue)
            if allowance is None or limit <= len(claimed):
                continue
            self._wait_at_most(allowance.wait_seconds or None)
            if allowance.tasks:
                claimed += await self._claim_one_limited(queue, limit - len(claimed))
        return claimed

    def _wait_at_most(self, seconds: float | None) -> None:
        if seconds is not None:
            self.retry_in = seconds if self.retry_in is None else min(self.retry_in, seconds)

    async def _claim_one_limited(self, queue: int, limit: int) -> list[ClaimedTask]:
        """Claim from one queue with limits; starved tasks first, when it is time for them."""
        began, hints = time.monotonic(), self._limited[queue]
        hints.start(began)
        starved: list[ClaimedTask] = []
        if guard := hints.guard([queue], self._names):
            starved, _ = await self._take_limited(guard, queue, limit)
            hints.learn_guard(began, time.monotonic())
        if len(starved) == limit:
            return starved
        began, plan = time.monotonic(), hints.plan([queue], self._names)
        claimed, allowed = await self._take_limited(plan, queue, limit - len(starved))
        if allowed:
            hints.learn(plan, claimed, allowed, began, time.monotonic())
            self._wait_at_most(hints.wait(time.monotonic()))
        return starved + claimed

    async def _take_limited(
        self, plan: ClaimPlan, queue: int, limit: int
    ) -> tuple[list[ClaimedTask], int]:
        return await self._store.leases.claim_limited(
            self.worker, plan, queue, limit, self.lease_seconds
        )

    async def _refresh_queues(self) -> None:
        now = time.monotonic()
        if now < self._names_until:
            return
        found = [queue for queue in await self._store.queues.list() if self._takes(queue)]
        names = {queue.id: queue.name for queue in sorted(found, key=self._place)}
        self._names, self._names_until = names, now + QUEUES_SECONDS
        self._limited = {
            queue.id: self._limited.get(queue.id) or ClaimHints(strict=self._strict)
            for queue in found
            if queue.limited
        }
        self._turns.set({each: self._weight(name) for each, name in names.items()})

    def _takes(self, queue: QueueInfo) -> bool:
        # "All queues" leaves out those that a TaskQueue names: they have workers of their own.
        if self._wanted is None:
            return queue.owner_uid is None
        return queue.name in self._wanted

    def _place(self, queue: QueueInfo) -> int:
        return 0 if self._wanted is None else list(self._wanted).index(queue.name)

    def _weight(self, queue: str) -> int:
        return 1 if self._wanted is None else self._wanted[queue]

    def _wants(self, queue: str) -> bool:
        return self._wanted is None or queue in self._wanted

    async def _runnable(self, tasks: list[ClaimedTask]) -> list[ClaimedTask]:
        """Put away those of `tasks` that cannot run; return the others."""
        if all(task.has_body and not (task.expired or task.type_paused) for task in tasks):
            return tasks
        dead = [task for task in tasks if not task.has_body or task.expired]
        if dead:
            await self._bury(dead)
        paused = [task for task in tasks if task.type_paused and not task.expired]
        parked = await self._store.leases.park(paused) if paused else set[Lease]()
        gone = {task.lease for task in dead} | parked
        return [task for task in tasks if task.lease not in gone]

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
