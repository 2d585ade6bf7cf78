"""Enqueueing inside a transaction of the caller's own, on the caller's connection.

The tasks commit or roll back with whatever else the transaction holds. They go in by the function
`tidemill.enqueue_many`, so the connection's login needs `tidemill_producer` and nothing else. An
error aborts the transaction, as any error in Postgres does.

The connection's library is recognised by the modules of its classes: none of them is imported here
or needed, but the one whose connection is given.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final
from uuid import UUID

from tidemill import sql
from tidemill.dberrors import of_code
from tidemill.errors import InvalidTask
from tidemill.jsontext import dumps
from tidemill.models import NewTask
from tidemill.sdk.handle import Stored
from tidemill.states import Status
from tidemill.store.rules import faults

_MOST_BYTES: Final = 1 << 30  # the database knows the limit that is set for it
_ASYNC: Final = "an asyncpg connection, or a psycopg AsyncConnection"
_SYNC: Final = "a psycopg or psycopg2 connection, or django.db.connection"


class InTransaction:
    """Stores tasks on a caller's connection."""

    async def store_in(self, connection: object, tasks: Sequence[NewTask]) -> list[Stored]:
        """Store `tasks` in the transaction of an asyncpg or psycopg `AsyncConnection`.

        Raises InvalidTask, UnknownType, IdempotencyConflict, QueueFull, and what the connection
        raises; TypeError for another kind of connection.
        """
        text = tasks_json(tasks)
        kind = _kind(connection)
        with _translated():
            if kind == "asyncpg":
                return _stored(await _asyncpg(connection, text))
            if kind == "psycopg async":
                return _stored(await _psycopg_async(connection, text))
        raise _refusal(connection, kind, _ASYNC, "enqueue", "enqueue_sync")

    def store_in_sync(self, connection: object, tasks: Sequence[NewTask]) -> list[Stored]:
        """Store `tasks` in the transaction of a psycopg, psycopg2 or Django connection.

        Raises as `store_in` does.
        """
        text = tasks_json(tasks)
        kind = _kind(connection)
        if kind != "blocking":
            raise _refusal(connection, kind, _SYNC, "enqueue_sync", "enqueue")
        with _translated():
            return _stored(_blocking(connection, text))


def tasks_json(tasks: Sequence[NewTask]) -> str:
    """Return the argument of `tidemill.enqueue_many`. Raises InvalidTask naming every fault."""
    checked(tasks)
    return dumps([fields_of(task) for task in tasks])


def checked(tasks: Sequence[NewTask]) -> None:
    """Raise InvalidTask naming every fault of `tasks`, before anything is sent."""
    if found := faults(tasks, [], _MOST_BYTES):
        raise InvalidTask(*found)


def fields_of(task: NewTask) -> dict[str, Any]:
    """Return what is given of `task`, as the HTTP API and the SQL function name it."""
    given = {
        "type": task.type,
        "payload": task.payload,
        "queue": task.queue,
        "name": task.name,
        "priority": task.priority,
        "run_at": task.run_at and task.run_at.isoformat(),
        "delay_seconds": task.delay_seconds,
        "max_retries": task.max_retries,
        "timeout_seconds": task.timeout_seconds,
        "retry": task.retry and task.retry.to_json(),
        "idempotency_key": task.idempotency_key,
        "idempotency_ttl_seconds": task.idempotency_ttl_seconds,
        "expires_at": task.expires_at and task.expires_at.isoformat(),
        "headers": task.headers,
    }
    return {name: value for name, value in given.items() if value is not None or name == "payload"}


def _kind(connection: object) -> str | None:
    """Return which kind of connection that is: by its classes, or what Django says of it."""
    classes = {
        (each.__module__.partition(".")[0], each.__name__) for each in type(connection).__mro__
    }
    if hasattr(connection, "is_in_transaction") and any(root == "asyncpg" for root, _ in classes):
        return "asyncpg"
    if ("psycopg", "AsyncConnection") in classes:
        return "psycopg async"
    if {("psycopg", "Connection"), ("psycopg2", "connection")} & classes:
        return "blocking"
    if getattr(connection, "vendor", None) == "postgresql" and hasattr(connection, "cursor"):
        return "blocking"
    return None


async def _asyncpg(connection: Any, text: str) -> Iterable[Any]:
    rows: list[Any] = await connection.fetch(_statement("$1"), text)
    return rows


async def _psycopg_async(connection: Any, text: str) -> Iterable[Any]:
    from psycopg.rows import tuple_row  # noqa: PLC0415 - it is there: the connection is its own

    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_statement("%s"), (text,))
        rows: list[Any] = await cursor.fetchall()
        return rows


def _blocking(connection: Any, text: str) -> Iterable[Any]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(_statement("%s"), (text,))
        rows: list[Any] = cursor.fetchall()
        return rows


def _statement(placeholder: str) -> str:
    """Return the statement in a driver's own way, without comments that look like parameters."""
    lines = sql.load("enqueue_many").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return text.replace("$1", placeholder)


def _stored(rows: Iterable[Any]) -> list[Stored]:
    """Return what the rows say; a connection may give them as tuples, records or dicts."""
    stored: list[Stored] = []
    for row in rows:
        task_id, status, created, queue = row.values() if hasattr(row, "values") else row
        stored.append(Stored(UUID(task_id), status and Status(status), created, queue))
    return stored


@contextmanager
def _translated() -> Generator[None]:
    """Turn what Tidemill's functions raise into our errors; the driver's own pass as they are."""
    try:
        yield
    except Exception as error:
        ours = of_code(_code(error) or _code(error.__cause__) or "", str(error))
        if ours is None:
            raise
        raise ours from error


def _code(error: BaseException | None) -> str | None:
    """Return the SQLSTATE, as asyncpg and psycopg or as psycopg2 name it."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


def _refusal(
    connection: object, kind: str | None, wanted: str, method: str, other: str
) -> TypeError:
    name = f"{type(connection).__module__}.{type(connection).__qualname__}"
    hint = f"; for this one call {other}" if kind is not None else ""
    return TypeError(f"{method}: connection must be {wanted} (got {name}){hint}")
