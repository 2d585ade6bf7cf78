"""The ways to enqueue tasks of one type: one or many, awaited or not, in a transaction or not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from tidemill.errors import Fault, InvalidTask
from tidemill.models import NAMED_PRIORITIES, NewTask
from tidemill.sdk.enqueueing import OF_TASKS, unnumber
from tidemill.sdk.handle import Clients, Handle

R = TypeVar("R")

Payload = Mapping[str, Any]
Fill = Callable[[dict[str, Any]], NewTask]


class Gate(Clients, Protocol):
    """Where the tasks of an app go out."""

    async def enqueue_in(
        self, connection: object, tasks: Sequence[NewTask]
    ) -> list[Handle[Any]]: ...

    def enqueue_in_sync(
        self, connection: object, tasks: Sequence[NewTask]
    ) -> list[Handle[Any]]: ...


class Sender(Generic[R]):
    """Enqueues tasks of one type. The methods whose names end in `_sync` need no event loop."""

    def __init__(
        self, fill: Fill, gate: Gate, decode: Callable[[Any], R], connection: object = None
    ) -> None:
        """Make tasks of payloads by `fill`, send them through `gate`, `decode` their results.

        With a `connection` they are enqueued in its transaction.
        """
        self._fill_in, self._gate, self._decode = fill, gate, decode
        self._connection = connection

    def new(self, **payload: Any) -> NewTask:
        """Return a task with this payload, for `app.client.enqueue_many`. Raises InvalidTask."""
        return self._fill_in(payload)

    async def enqueue(self, **payload: Any) -> Handle[R]:
        """Store a task with this payload; it is durable when this returns.

        Raises InvalidTask, UnknownType, IdempotencyConflict, QueueFull, DatabaseUnavailable.
        """
        try:
            return (await self._send([self._fill_in(payload)]))[0]
        except OF_TASKS as error:
            unnumber(error)
            raise

    async def enqueue_many(self, payloads: Iterable[Payload]) -> list[Handle[R]]:
        """Store a task for each of `payloads`, all or none: `enqueue_many([{"to": …}, …])`.

        Raises as `enqueue` does; InvalidTask names every fault of every payload.
        """
        return await self._send(self._filled(payloads))

    def enqueue_sync(self, **payload: Any) -> Handle[R]:
        """Store a task, for code that cannot await: see `enqueue`."""
        try:
            return self._send_sync([self._fill_in(payload)])[0]
        except OF_TASKS as error:
            unnumber(error)
            raise

    def enqueue_many_sync(self, payloads: Iterable[Payload]) -> list[Handle[R]]:
        """Store many tasks, for code that cannot await: see `enqueue_many`."""
        return self._send_sync(self._filled(payloads))

    def using(self, *, connection: object = None, **options: Any) -> "Sender[R]":
        """Return a sender with options of `NewTask`: `using(delay_seconds=60).enqueue(to=…)`.

        `priority` may be a name; raises InvalidTask for one that is none. With a `connection` the
        tasks commit or roll back with its transaction: of asyncpg or psycopg's `AsyncConnection`
        for `enqueue`, of psycopg, psycopg2 or Django for `enqueue_sync`.
        """
        if isinstance(options.get("priority"), str):
            options["priority"] = priority_of(options["priority"])

        def fill(payload: dict[str, Any]) -> NewTask:
            return replace(self._fill_in(payload), **options)

        if connection is None:
            connection = self._connection
        return Sender(fill, self._gate, self._decode, connection)

    async def _send(self, tasks: list[NewTask]) -> list[Handle[R]]:
        if self._connection is not None:
            return self._own(await self._gate.enqueue_in(self._connection, tasks))
        return self._own(await self._gate.client.enqueue_many(tasks))

    def _send_sync(self, tasks: list[NewTask]) -> list[Handle[R]]:
        if self._connection is not None:
            return self._own(self._gate.enqueue_in_sync(self._connection, tasks))
        return self._own(self._gate.sync_client.enqueue_many(tasks))

    def _own(self, handles: list[Handle[Any]]) -> list[Handle[R]]:
        for each in handles:
            each.clients, each.decode = self._gate, self._decode
        return handles

    def _filled(self, payloads: Iterable[Payload]) -> list[NewTask]:
        tasks: list[NewTask] = []
        faults: list[Fault] = []
        for place, payload in enumerate(payloads):
            try:
                tasks.append(self._fill_in(dict(payload)))
            except InvalidTask as error:
                faults += [
                    replace(each, field=f"tasks[{place}].{each.field}") for each in error.faults
                ]
        if faults:
            raise InvalidTask(*faults)
        return tasks


def priority_of(name: str) -> int:
    """Return the number that the priority `name` stands for. Raises InvalidTask."""
    if name not in NAMED_PRIORITIES:
        rule = f"must be a number or one of {', '.join(NAMED_PRIORITIES)}"
        raise InvalidTask(Fault("priority", rule, name))
    return NAMED_PRIORITIES[name]
