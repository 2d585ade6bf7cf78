"""Postgres behind a small surface: a pool, transactions, and errors in our own words.

Behind a transaction pooler (`database_pooler=transaction`) two statements meet on one server
session only inside a transaction, and nothing that a session keeps is ours: so there everything
runs in explicit transactions, what else the session would hold is set by SET LOCAL in the round
trip of BEGIN, and no statement is cached.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import asyncpg

from tidemill import errors
from tidemill.connecting import Connection, Connector
from tidemill.dberrors import AWAY, elsewhere, translated, undone, unusable
from tidemill.pooluse import PoolUse
from tidemill.settings import Settings

log = logging.getLogger(__name__)

Record = asyncpg.Record
T = TypeVar("T")

TRIES: Final = 5
"""How often something is done that Postgres undoes to end a deadlock or a conflict."""

_FIRST_PAUSE_SECONDS: Final = 0.02
_CLEAN_SECONDS: Final = 2.0  # for leaving a session as it was, or else it is closed
# A session that nobody uses is closed before a firewall forgets it: some do so after four minutes.
_IDLE_SECONDS: Final = 120.0
_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
_BEGIN_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Session:
    """Statements on one connection."""

    def __init__(self, connection: Any) -> None:
        """Wrap an asyncpg connection (from a pool or single)."""
        self.connection = connection

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """Return all rows. Raises what `translated` says."""
        with translated():
            rows: list[Record] = await self.connection.fetch(sql, *args)
            return rows

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """Return the first row, or None."""
        with translated():
            row: Record | None = await self.connection.fetchrow(sql, *args)
            return row

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        with translated():
            return await self.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement and return its command tag."""
        with translated():
            tag: str = await self.connection.execute(sql, *args)
            return tag


class Database:
    """A pool of connections, opened at first use."""

    def __init__(self, connector: Connector, pool_size: int) -> None:
        """Use `Database.of`."""
        self._connector = connector
        self._pool_size = pool_size
        self._pool: Any = None
        self._use = PoolUse(pool_size)
        self._opening = asyncio.Lock()

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        application: str,
        pool_size: int | None = None,
        direct: bool = False,
    ) -> "Database":
        """Return a database as `settings` say; `application` is what pg_stat_activity shows.

        `direct` goes past a transaction pooler. Raises ConfigurationError for a missing or
        malformed address. Nothing is connected yet.
        """
        connector = Connector(settings, application=application, direct=direct)
        return cls(connector, pool_size or settings.database_pool_size)

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """Return all rows. Raises what `translated` says."""
        return await _again(self.session, lambda session: session.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """Return the first row, or None."""
        return await _again(self.session, lambda session: session.fetchrow(sql, *args))

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        return await _again(self.session, lambda session: session.fetchval(sql, *args))

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement and return its command tag."""
        return await _again(self.session, lambda session: session.execute(sql, *args))

    async def repeating(self, act: Callable[[Session], Awaitable[T]]) -> T:
        """Return what `act` returns, one statement on a session; done again as `retrying` does."""
        return await _again(self.session, act)

    async def retrying(self, act: Callable[[Session], Awaitable[T]]) -> T:
        """Return what `act` returns, done in a transaction of its own.

        Where Postgres undid it to end a deadlock or a conflict, it is done again: so `act` may
        touch nothing but the session.
        """
        return await _again(self.transaction, act)

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Lend one connection of the pool. What the borrower raises passes as it is.

        Through a transaction pooler that is a transaction.
        """
        return self.transaction() if self._connector.pooled else self._lent()

    @asynccontextmanager
    async def transaction(self, *, snapshot: bool = False) -> AsyncGenerator[Session]:
        """Lend one connection inside a READ COMMITTED transaction.

        With `snapshot` all its statements see the same moment, and none may write.
        """
        begin = _BEGIN_SNAPSHOT if snapshot else _BEGIN
        async with self._lent() as session:
            try:
                with translated():  # a pooler makes it wait as a server would a connection
                    await session.connection.execute(
                        begin + self._connector.first_statements,
                        timeout=self._connector.seconds,
                    )
                yield session
            except BaseException as error:
                if not (isinstance(error, errors.DatabaseUnavailable) and unusable(error)):
                    await _roll_back(session)
                raise
            if await session.execute("COMMIT") != "COMMIT":
                raise asyncpg.InFailedSQLTransactionError("rolled back: a statement had failed")

    async def close(self, seconds: float = 5.0) -> None:
        """Close the pool; connections still in use after `seconds` are cut."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), seconds)
        except (TimeoutError, *AWAY):
            pool.terminate()
        finally:
            self._use.closed()

    @asynccontextmanager
    async def _lent(self) -> AsyncGenerator[Session]:
        pool = await self._opened()
        with translated(), self._use.asking():
            connection = await pool.acquire()
        try:
            yield Session(connection)
        except errors.DatabaseUnavailable as error:
            if unusable(error):
                _end(connection)  # nobody else may borrow it
            if elsewhere(error):
                await pool.expire_connections()  # nor any other to that server
            raise
        finally:
            # One that cannot be given back is closed by the pool; what was done on it stands.
            try:
                with suppress(asyncpg.InterfaceError, *AWAY):
                    await pool.release(connection, timeout=_CLEAN_SECONDS)
            finally:
                self._use.returned(pool)

    async def _opened(self) -> Any:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        min_size=0,
                        max_size=self._pool_size,
                        max_inactive_connection_lifetime=_IDLE_SECONDS,
                        connect=self._connector,
                        reset=_nothing_to_reset,
                    )
                    self._use.opened()
        return self._pool


async def _again(
    lend: Callable[[], AbstractAsyncContextManager[Session]],
    act: Callable[[Session], Awaitable[T]],
) -> T:
    """Return what `act` returns on a lent session, after a few tries if Postgres undoes it."""
    pause = _FIRST_PAUSE_SECONDS
    for tried in range(1, TRIES + 1):
        try:
            async with lend() as session:
                return await act(session)
        except errors.DatabaseUnavailable as error:
            if tried == TRIES or not undone(error):
                raise
            log.debug("undone by Postgres, trying again: %s", error)
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        pause *= 2
    raise AssertionError  # the last try returns or raises


async def _roll_back(session: Session) -> None:
    try:
        async with asyncio.timeout(_CLEAN_SECONDS):
            await session.execute("ROLLBACK")
    except (errors.DatabaseUnavailable, TimeoutError):
        _end(session.connection)  # which rolls back as well


def _end(connection: Any) -> None:
    with suppress(asyncpg.InterfaceError):  # it has ended, and is back in the pool
        connection.terminate()


async def _nothing_to_reset(_connection: Any) -> None:
    """Spare the round trip by which asyncpg's default clears session state: there is none."""


async def connect(settings: Settings, *, application: str, direct: bool = False) -> Connection:
    """Open one connection outside any pool. Raises what `translated` says."""
    return await Connector(settings, application=application, direct=direct)()


async def wait_for_database(database: Database, seconds: float) -> None:
    """Return when the database answers.

    Raises DatabaseUnavailable when it has not within `seconds`, DatabaseRefused at once.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    pause, told = 0.1, False
    while True:
        try:
            await database.fetchval("SELECT 1")
        except errors.DatabaseUnavailable as error:
            if asyncio.get_running_loop().time() + pause > deadline:
                raise
            if not told:
                log.info("waiting up to %g s for the database: %s", seconds, error)
            told = True
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)
        else:
            return


def column(values: Iterable[Any]) -> list[Any] | None:
    """Return the values as a list, or None when all are None: a column that nobody gave."""
    listed = list(values)
    return None if listed.count(None) == len(listed) else listed
