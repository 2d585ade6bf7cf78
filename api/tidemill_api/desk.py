"""One queue's claims over HTTP in this process: one at a time, whoever waits for them.

A request that comes is tried at once. If it finds nothing it may wait, and is tried again when a
hint, the poll interval or the claimer says that there may be something: the one that has waited
longest first, and the next one only where the last one found something. So a hundred waiting
workers cost one claim a second, and a task wakes one of them.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tidemill.models import ClaimedTask, WorkerIdentity
from tidemill.service import JITTER

AGAIN_SECONDS: Final = 0.02
"""How soon to look again, at the soonest, where the claimer says that it will be worth it."""


class Claiming(Protocol):
    """What is needed of a claimer."""

    worker: WorkerIdentity
    lease_seconds: float
    more: bool
    retry_in: float | None

    async def claim(self, limit: int) -> list[ClaimedTask]:
        """Return tasks, leased to `worker`."""
        ...

    def hear(self, queue: str) -> None:
        """Hear that `queue` may have something."""
        ...


Back = Callable[[Sequence[ClaimedTask]], Awaitable[None]]
"""Gives tasks back that were claimed for nobody; never raises."""


def _future() -> "asyncio.Future[list[ClaimedTask]]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, kw_only=True, eq=False)
class Waiter:
    """A request for tasks. `until` is monotonic time; `gone()` once nobody hears the answer."""

    worker: WorkerIdentity
    limit: int
    lease_seconds: float
    types: frozenset[str] | None
    until: float
    gone: Callable[[], bool]
    tried: bool = False
    answer: "asyncio.Future[list[ClaimedTask]]" = field(default_factory=_future)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to do for it."""
        return self.answer.done() or self.gone()

    @property
    def handed(self) -> list[ClaimedTask]:
        """The tasks that it was answered with."""
        answer = self.answer
        if not answer.done() or answer.cancelled() or answer.exception() is not None:
            return []
        return answer.result()

    def settle(self, tasks: list[ClaimedTask]) -> None:
        """Answer, unless it has been."""
        if not self.answer.done():
            self.answer.set_result(tasks)


class Desk:
    """Where requests for tasks of one queue are served."""

    def __init__(
        self, claimer: Claiming, *, poll_seconds: float, strangers: Back, give_back: Back
    ) -> None:
        """Claim with `claimer`, every `poll_seconds` (± 25 %) while somebody waits.

        `strangers` gets tasks of types that their worker does not want, `give_back` those of a
        worker that has gone.
        """
        self._claimer = claimer
        self._poll_seconds = poll_seconds
        self._strangers = strangers
        self._give_back = give_back
        self._waiting: deque[Waiter] = deque()
        self._clerk: asyncio.Task[None] | None = None
        self._returning: set[asyncio.Future[None]] = set()
        self._wake = asyncio.Event()
        self._promising = False
        self._look_at = 0.0
        self._closing = False

    @property
    def idle(self) -> bool:
        """Whether nobody is here."""
        return not self._waiting and (self._clerk is None or self._clerk.done())

    async def ask(self, waiter: Waiter) -> list[ClaimedTask]:
        """Return tasks, or none by the time that is up. Raises DatabaseUnavailable."""
        self._waiting.append(waiter)
        self._wake.set()
        if self._clerk is None or self._clerk.done():
            self._clerk = asyncio.create_task(self._serve(), name="claims")
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            if tasks := waiter.handed:  # in the very moment of the answer
                returning = asyncio.ensure_future(self._give_back(tasks))
                self._returning.add(returning)
                returning.add_done_callback(self._returning.discard)
            raise

    def hear(self, queue: str) -> None:
        """Hear that there may be something to claim."""
        self._claimer.hear(queue)
        self._promising = True
        self._wake.set()

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._closing = True
        self._wake.set()

    async def closed(self) -> None:
        """Return when everybody has an answer."""
        clerk = () if self._clerk is None else (self._clerk,)
        await asyncio.gather(*clerk, *self._returning, return_exceptions=True)

    async def _serve(self) -> None:
        while self._waiting:
            self._wake.clear()
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 - each who waits gets it
                self._refuse(error)
            if self._waiting and not self._promising:
                await self._pause()

    async def _round(self) -> None:
        for waiter in tuple(self._waiting):
            now = time.monotonic()
            self._promising = self._promising or now >= self._look_at
            if waiter.over or self._closing:
                self._dismiss(waiter)
            elif self._promising or not waiter.tried:
                await self._try(waiter)
            elif now >= waiter.until:
                self._dismiss(waiter)

    async def _try(self, waiter: Waiter) -> None:
        self._promising = False
        claimer = self._claimer
        claimer.worker, claimer.lease_seconds = waiter.worker, waiter.lease_seconds
        claimed = await claimer.claim(waiter.limit)
        waiter.tried = True
        self._promising = self._promising or claimer.more
        self._look_at = time.monotonic() + self._look_in(claimer.retry_in)
        wanted = [task for task in claimed if waiter.types is None or task.type in waiter.types]
        if len(wanted) < len(claimed):
            known = {task.lease for task in wanted}
            await self._strangers([task for task in claimed if task.lease not in known])
        await self._hand(waiter, wanted)

    async def _hand(self, waiter: Waiter, tasks: list[ClaimedTask]) -> None:
        if tasks:
            await asyncio.sleep(0)  # that its connection has ended may have come, and not be read
            await asyncio.sleep(0)
        if tasks and waiter.over:
            await self._give_back(tasks)
            tasks = []
        if tasks or waiter.over or time.monotonic() >= waiter.until:
            self._dismiss(waiter, tasks)
        else:  # the next one is asked first, for it may want other types
            self._waiting.remove(waiter)
            self._waiting.append(waiter)

    def _dismiss(self, waiter: Waiter, tasks: Sequence[ClaimedTask] = ()) -> None:
        self._waiting.remove(waiter)
        waiter.settle(list(tasks))

    def _refuse(self, error: Exception) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.answer.done():
                waiter.answer.set_exception(error)

    def _look_in(self, again: float | None) -> float:
        poll = self._poll_seconds * (1 + random.uniform(-JITTER, JITTER))
        return poll if again is None else min(poll, max(AGAIN_SECONDS, again))

    async def _pause(self) -> None:
        """Wait until there may be something, somebody comes, or somebody's time is up."""
        until = min(self._look_at, *(waiter.until for waiter in self._waiting))
        try:
            await asyncio.wait_for(self._wake.wait(), max(0.0, until - time.monotonic()))
        except TimeoutError:
            return
