"""The claim loop: one for each process, so workers do not stampede.

It claims when there is room and reason: after a full claim at once, after a short one when a hint,
the poll interval or the claimer (a queue's rate, say) says to look again. Of queues with limits it
takes no more than there are free slots, so a slot that becomes free is a reason too. While
heartbeats fail, or the operator has marked this worker, it claims nothing.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tidemill.errors import TidemillError
from tidemill.models import ClaimedTask
from tidemill.service import JITTER, Service
from tidemill_worker import metrics
from tidemill_worker.backoff import Backoff
from tidemill_worker.finisher import Finisher
from tidemill_worker.heart import lease_until
from tidemill_worker.ledger import Ledger
from tidemill_worker.prefetch import Prefetch, free_slots, room, worth_claiming
from tidemill_worker.registration import Registration
from tidemill_worker.run import Run
from tidemill_worker.slots import Slots
from tidemill_worker.supervision import watch_over

HAND_BACK_SECONDS = 2.0
"""A prefetched task that has waited this long was a wrong guess: others may have free slots."""

AGAIN_SECONDS = 0.02
"""How soon to look again, at the soonest, where the claimer says that it will be worth it."""

log = logging.getLogger("tidemill.worker")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the dispatcher works with."""

    registration: Registration
    ledger: Ledger
    slots: Slots
    finisher: Finisher
    prefetch: Prefetch


class Dispatcher(Service):
    """Claims tasks and offers them to the slots."""

    name = "dispatcher"

    def __init__(
        self,
        parts: Parts,
        *,
        poll_seconds: float,
        allowed: Callable[[], bool],
        failed: Callable[[], None],
    ) -> None:
        """Claim while `allowed()`, looking at empty queues every `poll_seconds` (± 25 %).

        `failed` is called should this part ever end by an error of its own.
        """
        self._parts = parts
        self._poll_seconds = poll_seconds
        self._allowed = allowed
        self._failed = failed
        self._wake = asyncio.Event()
        self._more = True
        self._kept_out = False
        self._look_at = float("-inf")
        self._unknown = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._backoff = Backoff()

    async def start(self) -> None:
        """Start claiming."""
        if self._task is None:
            self._stopping = False
            self._task = asyncio.create_task(self._run(), name=self.name)
            watch_over(self._task, self._failed)

    async def stop(self) -> None:
        """Stop claiming; a claim in flight is awaited, for nobody else can answer it."""
        self._stopping = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    def hint(self, queue: str) -> None:
        """Hear that there is something to claim in `queue`."""
        self._parts.registration.claimer.hear(queue)
        self._more = True
        self._wake.set()

    def room_changed(self) -> None:
        """Hear that there may be room for more."""
        self._wake.set()

    def unknown(self) -> None:
        """Hear that the database does not know this worker (any more)."""
        self._unknown = True
        self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            if self._unknown:
                log.warning("the database does not know this worker: registering anew")
                await self._recover()
                continue
            limit, free = self._limits()
            reason = self._more or (self._kept_out and free > 0)
            if limit and reason and self._allowed():
                await self._claim(limit, free)
            else:
                await self._pause()

    def _limits(self) -> tuple[int, int]:
        """Return how many tasks to claim now (0 = rather wait), and how many could run at once."""
        parts, now = self._parts, time.monotonic()
        self._hand_back(now)
        parts.slots.tidy()
        recording, waiting = len(parts.finisher), parts.slots.waiting
        held = len(parts.ledger) - parts.slots.waiting_in_lanes  # other types take no heed of those
        usable, ahead = parts.slots.usable, self._ahead(now)
        most = room(slots=usable, ahead=ahead, open_runs=held - recording, held=held)
        worth = worth_claiming(room=most, most=usable + ahead, waiting=waiting, recording=recording)
        free = free_slots(slots=usable, open_runs=held - recording, room=most)
        return (most if worth else 0), free

    def _ahead(self, now: float) -> int:
        slots = self._parts.slots
        return self._parts.prefetch.target(slots.finished, slots.busy_seconds(now))

    def _hand_back(self, now: float) -> None:
        parts = self._parts
        if parts.prefetch.auto and parts.slots.waited_seconds(now) > HAND_BACK_SECONDS:
            count = parts.slots.give_back(keep=self._ahead(now))
            if count:
                log.info("gave back %d tasks that waited for a slot", count)

    async def _claim(self, limit: int, free: int) -> None:
        sent_at = time.monotonic()
        claimer = self._parts.registration.claimer
        try:
            claimed = await claimer.claim(limit, free=free)
        except Exception as error:
            metrics.DATABASE_ERRORS.labels("claim").inc()
            if not isinstance(error, TidemillError):
                log.exception("a claim failed")
            self._backoff.log(log, "claiming fails", error)
            await self._recover()
            return
        self._backoff.reset()
        self._more = claimer.more
        self._kept_out = claimer.has_limits and free < limit and len(claimed) >= free
        self._look_at = time.monotonic() + self._look_in(claimer.retry_in)
        metrics.CLAIMED.observe(len(claimed))
        self._offer(claimed, sent_at)

    def _offer(self, claimed: list[ClaimedTask], sent_at: float) -> None:
        if not claimed:
            return
        runs = [Run(task, sent_at, lease_until(sent_at, task.lease_seconds)) for task in claimed]
        self._parts.ledger.add(runs)
        self._parts.slots.offer(runs)

    async def _recover(self) -> None:
        """Make up for a claim whose answer was lost: it may have leased tasks to us.

        The new epoch shuts out the claim, should it still be in flight; then nothing can be leased
        to us that we do not know of, and what is goes back uncharged.
        """
        while not self._stopping:
            await self._backoff.pause()
            try:
                count = await self._parts.registration.renew(self._parts.ledger.leases())
            except TidemillError as error:
                self._backoff.log(log, "claiming fails", error)
            else:
                if count:
                    log.info("gave back %d tasks of a claim whose answer was lost", count)
                self._more, self._unknown = True, False
                return

    async def _pause(self) -> None:
        """Wait for a reason to look again."""
        seconds = self._look_in() if self._more else self._look_at - time.monotonic()
        try:
            await asyncio.wait_for(self._wake.wait(), max(0.0, seconds))
        except TimeoutError:
            self._more = True

    def _look_in(self, again: float | None = None) -> float:
        """Return in how many seconds to look again, hint or not."""
        poll = self._poll_seconds * (1 + random.uniform(-JITTER, JITTER))
        return poll if again is None else min(poll, max(AGAIN_SECONDS, again))
