"""The one reader behind all clients of /api/events in this process.

It looks every half second while there are clients: at the figures of the queues, and at the tasks
that somebody watches. A look that nothing came of is followed by a longer pause where hints are
heard, for a hint ends it. So no client gets more than two events a second of a queue, nothing is
asked while nobody is there, and what is told was read, never guessed from a hint.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from uuid import UUID

from tidemill.errors import Overloaded, TidemillError
from tidemill.models import QueueStats, Stats
from tidemill.notify import Listener
from tidemill.service import Service
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_api.events import frames
from tidemill_api.events.client import Client
from tidemill_api.events.fanout import Fanout
from tidemill_api.events.metrics import StreamMetrics
from tidemill_api.events.watch import Changes, TaskWatch
from tidemill_api.single import Shared

POLL_SECONDS: Final = 0.5
IDLE_SECONDS: Final = 1.0
"""The pause after a look that nothing came of, where hints are heard."""

SHARE: Final = 4.0
"""A look that took long is followed by a pause of so many times its length."""

MOST_STREAMS: Final = 1000
MOST_WATCHED: Final = 200
"""Queues whose tasks are watched in this process, by all clients together."""

log = logging.getLogger(__name__)


class Feed(Service):
    """The clients of a process, and what is read for them."""

    name = "events"

    def __init__(self, settings: Settings, store: Store, metrics: StreamMetrics) -> None:
        """Read `store`; nothing runs until somebody watches."""
        self._settings = settings
        self._stats = Shared(store.stats.stats)
        self._watch = TaskWatch(store)
        self._metrics = metrics
        self._clients: set[Client] = set()
        self._told: dict[str, QueueStats] = {}
        self._away = False
        self._closed = False
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Nothing runs until somebody watches."""
        self._closed = False

    async def stop(self) -> None:
        """End all streams, and the reader."""
        self.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def close(self) -> None:
        """End all streams: this server ends."""
        self._closed = True
        for client in tuple(self._clients):
            client.end()

    async def check(self, queues: Collection[str] = ()) -> None:
        """Raise Overloaded where there are too many streams, or what reading the figures raises.

        `queues`: those that are to be watched.
        """
        if self._closed or len(self._clients) >= MOST_STREAMS:
            raise Overloaded(f"this server has its {MOST_STREAMS} streams, or ends; try again")
        if queues and len(self._watched.union(queues)) > MOST_WATCHED:
            raise Overloaded(f"the tasks of {MOST_WATCHED} queues are watched here; try again")
        await self._stats.get(POLL_SECONDS)

    def join(self, client: Client) -> None:
        """Tell `client` from now on, a snapshot first."""
        self._clients.add(client)
        self._metrics.streams.set(len(self._clients))
        if self._closed or len(self._clients) > MOST_STREAMS:
            client.end()
        self._empty.clear()
        self._wake.set()
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name="events")

    def leave(self, client: Client) -> None:
        """Tell it no more."""
        self._clients.discard(client)
        self._metrics.streams.set(len(self._clients))
        if not self._clients:
            self._empty.set()
            self._wake.set()

    @property
    def _watched(self) -> frozenset[str]:
        """The queues whose tasks are watched."""
        return frozenset[str]().union(*(each.queues for each in self._clients))

    async def _read(self) -> None:
        while self._clients:
            listener = Listener(self._settings, application="tidemill api events")
            listener.subscribe(self._heard)
            async with listener:
                while self._clients:
                    await self._turn(listener)
            self._told.clear()
            self._watch.forget()

    async def _turn(self, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        self._wake.clear()
        began, told = loop.time(), True
        try:
            told = await self._look()
        except TidemillError as error:
            self._lose(error)
        except Exception:
            log.exception("the events could not be read")
        pause = max(POLL_SECONDS, SHARE * (loop.time() - began))
        await self._sleep(pause)
        if not told and listener.listening:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), IDLE_SECONDS - POLL_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        """Pause between looks, but not longer than somebody watches."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), seconds)

    async def _look(self) -> bool:
        """Read and tell; return whether anything had changed."""
        clients = tuple(self._clients)
        stats = await self._stats.get(0)
        stirred = self._stirred(stats)
        ids = frozenset[UUID]().union(*(each.tasks for each in clients))
        queues = self._watched
        fresh = frozenset[str]().union(*(each.queues for each in clients if each.fresh))
        changes = await self._watch.look(ids, queues, fresh.union(each.queue for each in stirred))
        self._told = {each.queue: _lasting(each) for each in stats.queues}
        self._away = False
        self._tell(clients, stats, stirred, changes)
        return bool(stirred or changes.changed or changes.gone)

    def _stirred(self, stats: Stats) -> list[QueueStats]:
        return [each for each in stats.queues if self._told.get(each.queue) != _lasting(each)]

    def _tell(
        self,
        clients: Sequence[Client],
        stats: Stats,
        stirred: Sequence[QueueStats],
        changes: Changes,
    ) -> None:
        news = Fanout(stirred, changes.changed, changes.gone)
        fresh = any(each.fresh for each in clients)
        all_there_is = Fanout(stats.queues, changes.now.values()) if fresh else news
        for client in clients:
            told = all_there_is.snapshot(client) if client.fresh else news.news(client)
            self._push(client, told)
            client.fresh = False

    def _lose(self, error: TidemillError) -> None:
        """Tell that the database is away, once; all get a snapshot when it is back."""
        if not self._away:
            log.warning("events: %s", error)
        for client in tuple(self._clients):
            if not (self._away and client.fresh):
                self._push(client, [frames.away_frame()])
            client.fresh = True
        self._away = True

    def _push(self, client: Client, found: list[bytes]) -> None:
        if client not in self._clients or not found:
            return
        if client.push(found, snapshot=client.fresh):
            self._metrics.sent.inc(len(found))
            return
        self._metrics.dropped.inc()
        self.leave(client)
        client.on_drop()

    def _heard(self, _queue: str) -> None:
        self._wake.set()


def _lasting(figures: QueueStats) -> QueueStats:
    """Return the figures without what changes by time alone."""
    return replace(figures, oldest_queued_seconds=0.0)
