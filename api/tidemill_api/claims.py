"""Claims of workers that speak HTTP: long polls, woken by one listener for the whole process.

A claim is also the worker's heartbeat for itself, and so is each `heartbeat_seconds` of waiting.
What was claimed for a connection that has gone meanwhile goes back uncharged; an answer that is
lost later than that is for the worker to tell (see `release_others` of an extension).
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from tidemill.errors import NotFound, TidemillError
from tidemill.models import ClaimedTask, Finish, Lease, WorkerIdentity
from tidemill.notify import Hints, Listener
from tidemill.service import Service
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer
from tidemill.store.strangers import Returns, judged
from tidemill.store.workers import WorkerState
from tidemill_api.desk import Desk, Waiter
from tidemill_api.metrics import ApiMetrics

MOST_DESKS: Final = 1000
"""Queues of which it is remembered where a claim starts to look; beyond, those asked for lately."""

_NOBODY: Final = WorkerIdentity(0, 0)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for up to `limit` tasks of a queue, of these types (None: of any)."""

    queue: str
    worker_id: int
    limit: int
    types: frozenset[str] | None
    lease_seconds: float | None
    wait: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer. `draining`: the worker has been told to end, it gets nothing more."""

    tasks: list[ClaimedTask] = field(default_factory=list[ClaimedTask])
    draining: bool = False


class Claims(Service):
    """The claims of one server."""

    name = "claims"

    def __init__(self, store: Store, settings: Settings, hints: Hints, metrics: ApiMetrics) -> None:
        """Claim from `store`; nothing is connected before somebody waits."""
        self._metrics = metrics
        self._store = store
        self._settings = settings
        self._hints = hints
        self._listener = Listener(settings, application="tidemill api")
        self._listener.subscribe(self.hear)
        self._desks: OrderedDict[str, Desk] = OrderedDict()
        self._closing = asyncio.Event()

    async def start(self) -> None:
        """Nothing runs until somebody asks."""
        self._closing.clear()
        self._desks.clear()

    async def stop(self) -> None:
        """Answer everybody and stop listening."""
        self.close()
        await asyncio.gather(*(desk.closed() for desk in self._desks.values()))
        await self._listener.stop()

    def close(self) -> None:
        """Let nobody wait any longer: this server ends."""
        self._closing.set()
        for desk in self._desks.values():
            desk.close()

    def hear(self, queue: str) -> None:
        """Hear that `queue` has something to claim ('': any may have)."""
        for name, desk in self._desks.items():
            if queue in ("", name):
                desk.hear(name)

    async def claim(self, asked: Asked, gone: Callable[[], bool]) -> Claimed:
        """Return tasks as soon as there are some. Raises NotFound for a worker that nobody knows.

        `gone()` says that nobody will hear the answer; then nothing stays claimed.
        """
        until = time.monotonic() + asked.wait
        epoch: int | None = None
        while True:
            state = await self._heard_of(asked.worker_id)
            # of another epoch: the worker has said meanwhile that it knows nothing of this claim
            if state.draining or epoch not in (None, state.epoch) or self._closing.is_set():
                return Claimed(draining=state.draining)
            turn = min(until, time.monotonic() + self._settings.heartbeat_seconds)
            tasks = await self._wait(asked, state, gone, turn, tried=epoch is not None)
            if tasks and gone():
                await self._give_back(tasks)
                return Claimed()
            if tasks or gone() or time.monotonic() >= until:
                self._metrics.claimed.inc(len(tasks))
                return Claimed(tasks)
            epoch = state.epoch

    async def beat(
        self, worker_id: int, *, keep: Sequence[Lease] | None = None
    ) -> tuple[WorkerState, int]:
        """Note that a worker lives; return the marks on it.

        With `keep`, all else that it holds goes back, uncharged; return how much that was.
        """
        state = await self._store.workers.heartbeat(WorkerIdentity(worker_id, 0))
        if not state.known or keep is None:
            return state, 0
        # A claim still on its way is shut out first: nothing comes after the look.
        worker = await self._store.workers.bump_epoch(WorkerIdentity(worker_id, state.epoch))
        return state, await self._release_all(worker, keep)

    async def sign_off(self, worker_id: int) -> bool:
        """Note that a worker has ended, and give back what it holds; False: nobody knows it."""
        worker = WorkerIdentity(worker_id, 0)
        state = await self._store.workers.heartbeat(worker)
        if state.known:
            await self._store.workers.leave(worker)
            await self._release_all(worker, ())
        return state.known

    async def _release_all(self, worker: WorkerIdentity, keep: Sequence[Lease]) -> int:
        released = await self._store.workers.release_unknown(worker, keep)
        if released:
            self._hints.hint("")  # of whatever queues they are
        return len(released)

    async def _heard_of(self, worker_id: int) -> WorkerState:
        state = await self._store.workers.heartbeat(WorkerIdentity(worker_id, 0))
        if not state.known:
            raise NotFound(f"there is no worker {worker_id}: register again")
        return state

    async def _wait(
        self,
        asked: Asked,
        state: WorkerState,
        gone: Callable[[], bool],
        until: float,
        *,
        tried: bool,
    ) -> list[ClaimedTask]:
        if until > time.monotonic():
            await self._listener.start()
        if state.cordoned:
            await self._pause(until - time.monotonic())
            return []
        waiter = Waiter(
            worker=WorkerIdentity(asked.worker_id, state.epoch),
            limit=asked.limit,
            lease_seconds=asked.lease_seconds or self._settings.lease_seconds,
            types=asked.types,
            until=until,
            gone=gone,
            tried=tried,
        )
        with self._metrics.waiting_claims.track_inprogress():
            return await self._desk(asked.queue).ask(waiter)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), max(0.0, seconds))
        except TimeoutError:
            return

    def _desk(self, queue: str) -> Desk:
        desk = self._desks.get(queue)
        if desk is None:
            desk = self._desks[queue] = Desk(
                Claimer(
                    self._store,
                    _NOBODY,
                    queues=[queue],
                    lease_seconds=self._settings.lease_seconds,
                ),
                poll_seconds=self._settings.poll_seconds,
                strangers=self._send_back,
                give_back=self._give_back,
            )
            self._forget_some()
        self._desks.move_to_end(queue)
        return desk

    def _forget_some(self) -> None:
        surplus = len(self._desks) - MOST_DESKS
        idle = (name for name, desk in tuple(self._desks.items())[:-1] if desk.idle)
        for name, _ in zip(idle, range(surplus), strict=False):
            del self._desks[name]

    async def _give_back(self, tasks: Sequence[ClaimedTask]) -> None:
        ends = [Finish(lease=task.lease, outcome=Outcome.RELEASED) for task in tasks]
        if await self._ended(ends):
            for queue in {task.queue for task in tasks}:
                self._hints.hint(queue)

    async def _send_back(self, tasks: Sequence[ClaimedTask]) -> None:
        known = await self._returns(tasks)
        await self._ended([judged(task, known.get(task.id, Returns())) for task in tasks])

    async def _returns(self, tasks: Sequence[ClaimedTask]) -> dict[UUID, Returns]:
        created = [task.created_at for task in tasks if task.created_at is not None]
        if not created:
            return {}
        try:
            return await self._store.strangers.returns([task.id for task in tasks], min(created))
        except TidemillError as error:
            _log.debug("how often tasks went back is not known: %s", error)
            return {}

    async def _ended(self, ends: Sequence[Finish]) -> bool:
        """Record how attempts end that never began; False: their leases have to run out."""
        try:
            await self._store.leases.finish(ends)
        except TidemillError as error:
            _log.warning("%d tasks could not be given back: %s", len(ends), error)
            return False
        return True
