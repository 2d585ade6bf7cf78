"""Postgres behind a small surface: a pool, transactions, and errors in our own words.

Behind a transaction pooler (`database_pooler=transaction`) no prepared statement outlives its
transaction, so the statement cache is off; nothing here relies on session state.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from tidemill import errors
from tidemill.address import connect_options
from tidemill.settings import Settings

Record = asyncpg.Record
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic in its type stubs only

_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # deadlock, serialization: nothing happened
    asyncpg.InternalClientError,  # a session whose end was announced and not yet noticed
    ConnectionError,
    OSError,
    TimeoutError,
)
_REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
_TIDEMILL_CODES: Final[dict[str, Callable[[str], errors.TidemillError]]] = {
    "TM400": lambda message: errors.InvalidTask(_fault(message)),
    "TM404": lambda message: errors.UnknownType(_fault(message)),
    "TM409": errors.IdempotencyConflict,
}


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

    def __init__(self, options: dict[str, Any], pool_size: int) -> None:
        """Use `Database.of`."""
        self._options = options
        self._pool_size = pool_size
        self._pool: Any = None
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
        options = connect_options(settings, application=application, direct=direct)
        return cls(options, pool_size or settings.database_pool_size)

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """Return all rows. Raises what `translated` says."""
        async with self.session() as session:
            return await session.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """Return the first row, or None."""
        async with self.session() as session:
            return await session.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        async with self.session() as session:
            return await session.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement and return its command tag."""
        async with self.session() as session:
            return await session.execute(sql, *args)

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session]:
        """Lend one connection of the pool. What the borrower raises passes as it is."""
        pool = await self._opened()
        with translated():
            connection = await pool.acquire()
        try:
            yield Session(connection)
        except errors.DatabaseUnavailable as error:
            if isinstance(error.__cause__, asyncpg.InternalClientError):
                connection.terminate()  # nobody else may borrow it
            raise
        finally:
            with translated():
                await pool.release(connection)

    @asynccontextmanager
    async def transaction(self, *, snapshot: bool = False) -> AsyncGenerator[Session]:
        """Lend one connection inside a READ COMMITTED transaction.

        With `snapshot` all its statements see the same moment, and none may write.
        """
        options = {"isolation": "repeatable_read", "readonly": True} if snapshot else {}
        async with self.session() as session:
            transaction = session.connection.transaction(**options)
            with translated():
                await transaction.__aenter__()
            try:
                yield session
            except BaseException as error:
                # a session that is gone has rolled back
                with suppress(errors.DatabaseUnavailable), translated():
                    await transaction.__aexit__(type(error), error, error.__traceback__)
                raise
            with translated():
                await transaction.__aexit__(None, None, None)

    async def close(self, seconds: float = 5.0) -> None:
        """Close the pool; connections still in use after `seconds` are cut."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), seconds)
        except (TimeoutError, *_AWAY):
            pool.terminate()

    async def _opened(self) -> Any:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    size: dict[str, Any] = {"min_size": 0, "max_size": self._pool_size}
                    with translated():
                        self._pool = await asyncpg.create_pool(
                            reset=_nothing_to_reset, **size, **self._options
                        )
        return self._pool


async def _nothing_to_reset(_connection: Any) -> None:
    """Spare the round trip by which asyncpg's default clears session state: there is none."""


async def connect(settings: Settings, *, application: str, direct: bool = False) -> Connection:
    """Open one connection outside any pool. Raises what `translated` says."""
    with translated():
        return await asyncpg.connect(
            **connect_options(settings, application=application, direct=direct)
        )


async def wait_for_database(database: Database, seconds: float) -> None:
    """Return when the database answers.

    Raises DatabaseUnavailable when it has not within `seconds`, DatabaseRefused at once.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    pause = 0.1
    while True:
        try:
            await database.fetchval("SELECT 1")
        except errors.DatabaseUnavailable:
            if asyncio.get_running_loop().time() + pause > deadline:
                raise
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)
        else:
            return


@contextmanager
def translated() -> Generator[None]:
    """Turn asyncpg's errors into ours: DatabaseUnavailable, DatabaseRefused, InvalidTask and so on.

    Other errors (a bug in a statement, say) pass as they are.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        if (ours := _translation(error)) is None:
            raise
        raise ours from error
    except asyncpg.ClientConfigurationError as error:
        raise errors.ConfigurationError(f"TIDEMILL_DATABASE_URL: {error}") from None
    except asyncpg.InterfaceError as error:
        # Also what asyncpg raises for our own mistakes, such as a parameter too few.
        if "clos" not in str(error):
            raise
        raise errors.DatabaseUnavailable(_described(error)) from error
    except _AWAY as error:
        raise errors.DatabaseUnavailable(_described(error)) from error


def _translation(error: asyncpg.PostgresError) -> errors.TidemillError | None:
    code = getattr(error, "sqlstate", "") or ""
    message = str(error)
    if code in _TIDEMILL_CODES:
        return _TIDEMILL_CODES[code](message)
    if isinstance(error, _REFUSED):
        return errors.DatabaseRefused(f"the database refused: {message}")
    if isinstance(error, _AWAY) or _lacks_partition(error):
        return errors.DatabaseUnavailable(_described(error))
    return None


def _lacks_partition(error: asyncpg.PostgresError) -> bool:
    """Whether a day has no partition (yet): after a week's sleep, until maintenance has made it."""
    # a row without a partition violates no constraint that has a name
    return isinstance(error, asyncpg.CheckViolationError) and not error.constraint_name


def _fault(message: str) -> errors.Fault:
    field, _, rule = message.partition(": ")  # the form of every message that 0001 raises
    return errors.Fault(field, rule)


def _described(error: BaseException) -> str:
    return f"the database cannot be used: {str(error) or type(error).__name__}"


def column(values: Iterable[Any]) -> list[Any] | None:
    """Return the values as a list, or None when all are None: a column that nobody gave."""
    listed = list(values)
    return None if listed.count(None) == len(listed) else listed
