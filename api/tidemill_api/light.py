"""The light way of a small single enqueue: from its bytes to the batch, and then to its answer.

aiohttp makes two tasks' worth of wake-ups, a request, a writer and a response for each request:
more than all that Tidemill does for it. Here its parser still reads every byte, so that nothing
is understood in two ways; but a plain `POST /api/tasks`, whole in one piece and alone on its
connection, is then taken from the protocol's queue before aiohttp's own task wakes, and answered
straight from the batch.

Whatever is not plain goes the ordinary way, untouched: other headers, other fields, tokens that
are limited to queues, bodies that are faulty or large, types that have to be read first, clients
that do not read. So does every answer but 201: the ordinary way is then told what came of it.
See docs/adr/0010-light-way-for-single-enqueues.md.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import HttpVersion11, StreamReader, hdrs, web
from aiohttp.http import RawRequestMessage

from tidemill.errors import InvalidTask, Overloaded
from tidemill.models import Enqueued, NewTask
from tidemill_api import quickjson
from tidemill_api.checking import plain
from tidemill_api.compression import LEAST_BYTES
from tidemill_api.connections import BoundedProtocol, Rooms
from tidemill_api.context import Api
from tidemill_api.created import created, whole
from tidemill_api.encoding import payload_text
from tidemill_api.endpoints import Endpoint
from tidemill_api.gathering import trace_of, traced
from tidemill_api.middleware import Asked, common_lines, note, request_id
from tidemill_api.shapes import tasks as shapes
from tidemill_api.strictjson import MAX_DEPTH, SUSPECT_BYTES
from tidemill_api.types import check_payload

Outcome = Callable[[], web.StreamResponse]
"""Returns the answer to a request that was carried out, or raises what it is to be told."""

_SENT_LIMIT: Final = 2**16
_KIND: Final = "application/json"
_UNUSUAL: Final = (hdrs.EXPECT, hdrs.CONTENT_ENCODING, "Idempotency-Key")


class LightWay:
    """What may go lightly to one server's `api`."""

    def __init__(self, api: Api, endpoint: Endpoint) -> None:
        """Take requests to `endpoint`, which enqueues single tasks."""
        self.api = api
        self.path = api.own_prefix + endpoint.path
        self.route = endpoint.path
        self.method = endpoint.method
        self._scope = endpoint.scope
        self.most = min(api.settings.max_payload_bytes, LEAST_BYTES)

    def takes(self, message: RawRequestMessage) -> bool:
        """Return whether nothing about the head of a request is out of the ordinary."""
        headers = message.headers
        return (
            message.path == self.path
            and message.method == self.method
            and message.version == HttpVersion11
            and not message.should_close
            and not message.upgrade
            and headers.get(hdrs.CONTENT_TYPE) == _KIND
            and not any(name in headers for name in _UNUSUAL)
            and self.api.cors is None
        )

    def task_of(self, body: bytes, headers: Mapping[str, str]) -> NewTask | None:
        """Return the task in `body`; None where the ordinary way has to look at it."""
        value = quickjson.parsed(body, SUSPECT_BYTES, MAX_DEPTH)
        task = None if value is quickjson.UNSURE else plain(value)
        if task is None or (checks := self.api.types.checks_now(task)) is None:
            return None
        try:
            check_payload(task, checks)
        except InvalidTask:
            return None
        task.payload_text = payload_text(task.payload)
        traced((task,), trace_of(headers))
        return task

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Return whether the sender may enqueue: nothing of a stranger's body is looked at."""
        return self.api.guard.knows(headers, self._scope)

    def admits(self, headers: Mapping[str, str], size: int) -> bool:
        """Let the request in and hold its `size` bytes; False leaves all as it was."""
        if self.api.bodies.free < size or not self.api.guard.admits_lightly(headers, self._scope):
            return False
        self.api.bodies.take(size)
        return True

    def answer(self, task: NewTask, made: Enqueued) -> tuple[bytes, str]:
        """Return the body of the answer, and where the task is found."""
        return shapes.new_task(task, made), f"{self.api.prefix}/api/tasks/{made.id}"


@dataclass(slots=True, eq=False)
class _Hand:
    """A request that is on the light way."""

    message: RawRequestMessage
    body: bytes
    task: NewTask
    began: float


class LightProtocol(BoundedProtocol):
    """Our HTTP protocol with a light way beside aiohttp's.

    While a request is on it, aiohttp's task sleeps as on an idle connection, the request's message
    stays the first of `_messages`, and what comes behind it waits there.
    """

    __slots__ = ("_hand", "_outcome", "_way")

    def __init__(self, manager: web.Server, rooms: Rooms, way: LightWay, **options: Any) -> None:
        """Serve with `manager`, and lightly what `way` takes."""
        super().__init__(manager, rooms, **options)
        self._way = way
        self._hand: _Hand | None = None
        self._outcome: tuple[Outcome, float] | None = None

    def take_outcome(self) -> tuple[Outcome, float] | None:
        """Return what came of the request that goes on here, and when that began.

        None when it was not carried out already.
        """
        outcome, self._outcome = self._outcome, None
        return outcome

    def data_received(self, data: bytes) -> None:
        """Read on; wake aiohttp's task unless the one request there is goes lightly."""
        waiter = self._waiter
        if waiter is None or waiter.done():  # aiohttp's task is at work, or has ended
            super().data_received(data)
            return
        self._waiter = None  # reading a body comes back here, with no bytes
        try:
            super().data_received(data)
            if self._hand is None and self._messages:
                self._try_lightly()
        finally:
            self._waiter = waiter
        if self._hand is None and self._messages:
            self._wake()

    def close(self) -> None:
        """Take no more requests; one on the light way is answered first."""
        if self._hand is None:
            super().close()
        else:
            self._close = True

    def _process_keepalive(self) -> None:
        if self._hand is None:
            super()._process_keepalive()
        else:
            self._keepalive_handle = self._loop.call_later(
                self._keepalive_timeout, self._process_keepalive
            )

    def _try_lightly(self) -> None:
        """Start the request that waits if it is plain; all is as it was if not."""
        message, payload = self._messages[0]
        way = self._way
        if (
            len(self._messages) > 1
            or self._paused
            or type(payload) is not StreamReader
            or not payload.is_eof()
            or payload.exception() is not None
            or payload.total_bytes > way.most  # put back, a large one would pause the parser
            or not isinstance(message, RawRequestMessage)
            or not way.takes(message)
            or not way.knows(message.headers)
        ):
            return
        began = time.perf_counter()
        body = payload.read_nowait()
        task = way.task_of(body, message.headers)
        if task is not None and way.admits(message.headers, len(body)):
            self._start(_Hand(message, body, task, began))
        else:
            self._messages[0] = message, self._again(body)

    def _start(self, hand: _Hand) -> None:
        self._hand = hand
        self._request_in_progress = True
        try:
            self._way.api.enqueuer.offer(hand.task, self._receive)
        except Overloaded as error:
            self._receive(error)

    def _receive(self, answer: Enqueued | BaseException) -> None:
        """Answer the request in hand, or have the ordinary way do it."""
        hand = self._hand
        if hand is None:
            return
        self._hand = None
        way = self._way
        way.api.bodies.take(-len(hand.body))
        if isinstance(answer, BaseException):
            self._go_on_ordinarily(hand, _raising(answer))
            return
        body, location = way.answer(hand.task, answer)
        ends = self._close or self._force_close or way.api.health.draining
        if ends or self._paused or len(body) >= LEAST_BYTES or not answer.created:
            self._go_on_ordinarily(hand, lambda: created(body, location))
        else:
            self._write(hand, body, location)

    def _write(self, hand: _Hand, body: bytes, location: str) -> None:
        asked = Asked(self._way.method, self._way.route, request_id(hand.message.headers))
        self._request_in_progress = False
        if self.transport is not None:
            self.transport.write(whole(body, location, common_lines(asked.id)))
        note(asked, 201, time.perf_counter() - hand.began, self._way.api)
        self._next()

    def _next(self) -> None:
        """Let what came behind the answered request have its turn, or the connection idle."""
        manager, parser = self._manager, self._parser
        if manager is None or parser is None:  # the client has gone
            return
        manager.requests_count += 1
        self._messages.popleft()
        parser.message_consumed()
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None and self._keepalive_timeout > 0:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
        if self._messages:
            self._wake()
        elif self._buffer_paused:
            self._resume_reading_if_drained()

    def _go_on_ordinarily(self, hand: _Hand, outcome: Outcome) -> None:
        """Give the request back to aiohttp's task, with what came of it."""
        if self._manager is None:  # the client has gone; that nobody hears it is no error
            self._request_in_progress = False
            if self._handler_waiter is not None and not self._handler_waiter.done():
                self._handler_waiter.set_result(None)  # a shutdown waits for this request
            return
        self._messages[0] = hand.message, self._again(hand.body)
        self._outcome = outcome, hand.began
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _again(self, body: bytes) -> StreamReader:
        """Return `body` as one that nobody has read."""
        payload = StreamReader(self, _SENT_LIMIT, loop=self._loop)
        payload.feed_data(body)
        payload.feed_eof()
        return payload


def _raising(error: BaseException) -> Outcome:
    def outcome() -> web.StreamResponse:
        raise error

    return outcome
