"""Arrival batching: whatever waits when the last flush returns goes into the next one.

At low load an item goes at once, alone; at high load batches grow with what arrives during a flush.
There is no fixed delay. Used for HTTP enqueues and completions.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from tidemill.errors import Overloaded

_log = logging.getLogger(__name__)
Item = TypeVar("Item")
Answer = TypeVar("Answer")

Flush = Callable[[list[Item]], Awaitable[Sequence[Answer | BaseException]]]
"""Takes a batch and returns one answer or error an item, in order; may raise one for all."""

Receive = Callable[[Answer | BaseException], None]
"""Is called once, with the answer of an item or its error; must not raise."""


class Batcher(Generic[Item, Answer]):
    """Collects items and flushes them in batches, at most `lanes` flushes at a time."""

    def __init__(
        self,
        flush: Flush[Item, Answer],
        *,
        most: int = 1000,
        lanes: int = 1,
        most_waiting: int = 10_000,
    ) -> None:
        """`most` items go in a batch; beyond `most_waiting` a submit is refused."""
        self._flush = flush
        self._most = most
        self._lanes = lanes
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Item, Receive[Answer]]] = deque()
        self._flights: set[asyncio.Task[None]] = set()
        self._flying = 0

    async def submit(self, item: Item) -> Answer:
        """Return the answer for `item` once its batch is flushed.

        Raises the flush's error, or Overloaded when too much waits already.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.offer(item, partial(_settle, future))
        return await future

    def offer(self, item: Item, receive: Receive[Answer]) -> None:
        """Have `receive` called with the answer for `item`, or its error, once it is flushed.

        For who has no task to wait in: a task and a future for each item cost as much as storing
        it. Raises Overloaded when too much waits already.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded(f"{len(self._waiting)} requests are waiting for the database")
        self._waiting.append((item, receive))
        # Not by `_flights`: who got an answer may be here before that flight's callbacks.
        if self._flying < self._lanes:
            self._flying += 1
            flight = asyncio.create_task(self._fly())
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)

    async def close(self) -> None:
        """Return when all that was submitted is flushed."""
        while self._flights:
            await asyncio.gather(*self._flights, return_exceptions=True)

    async def _fly(self) -> None:
        try:
            while self._waiting:
                size = min(self._most, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(size)]
                await self._deliver(batch)
        finally:
            self._flying -= 1

    async def _deliver(self, batch: list[tuple[Item, Receive[Answer]]]) -> None:
        answers: Sequence[Answer | BaseException]
        try:
            answers = await self._flush([item for item, _ in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"{len(answers)} answers to a batch of {len(batch)}")  # noqa: TRY301 - each asker gets it
        except BaseException as error:
            _answer(batch, [error] * len(batch))
            if not isinstance(error, Exception):
                raise
        else:
            # After the next flush is on its way: Postgres need not wait while answers are written.
            asyncio.get_running_loop().call_soon(_answer, batch, answers)


def _answer(
    batch: Sequence[tuple[Item, Receive[Answer]]],
    answers: Sequence[Answer | BaseException],
) -> None:
    for (_, receive), answer in zip(batch, answers, strict=True):
        try:
            receive(answer)
        except Exception:  # noqa: BLE001 - the others get theirs
            _log.exception("an answer of a batch was not received")


def _settle(future: "asyncio.Future[Answer]", answer: Answer | BaseException) -> None:
    if future.done():  # the asker has gone
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
