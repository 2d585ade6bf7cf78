"""Opening sessions: each time as the settings and their files are then, on a server that will do.

Of several servers that an address names, the one that answered last is tried first, so that a
server that swallows everything costs its time limit once and not at every connect.
"""

from typing import TYPE_CHECKING, Any, Final

import asyncpg

from tidemill import errors
from tidemill.address import Host, connect_options, first_statements, hosts, is_pooled, target
from tidemill.dberrors import CANNOT_BE_USED, translated
from tidemill.settings import Settings

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic in its type stubs only

# Asked of the server itself, in one round trip: what it announces at a connect, and asyncpg would
# go by, a pooler repeats from its first connect, though the standby of then may be the primary now.
_MUST_BE_WRITABLE: Final = """
DO $$ BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'this server is read-only';
    END IF;
END $$
"""


# asyncpg looks up array types when it meets them, and for that sets `jit` for the session, which a
# pooler would pass on to others. So they are looked up at once, in a transaction that is undone.
_ARRAY_TYPES: Final = (
    "bool", "int2", "int4", "int8", "float8", "text", "uuid", "json", "jsonb", "timestamptz",
)  # fmt: skip
_OF_ALL_TYPES: Final = "SELECT " + ", ".join(
    f"${place}::{name}[]" for place, name in enumerate(_ARRAY_TYPES, 1)
)


class Connector:
    """Opens sessions for one purpose. Call it; it suits asyncpg's pool."""

    def __init__(self, settings: Settings, *, application: str, direct: bool = False) -> None:
        """Check what can be checked. Raises ConfigurationError; nothing is connected."""
        self._settings = settings
        self._application = application
        self._direct = direct
        self._hosts = hosts(settings, direct=direct)
        self.pooled = is_pooled(settings, direct=direct)
        self.first_statements = first_statements(settings) if self.pooled else ""
        """What each transaction begins with after its BEGIN; empty where the session keeps it."""
        self.seconds = settings.database_connect_seconds
        """How long to wait for a session, or for a pooler to find one."""
        self._options()

    async def __call__(self, dsn: str | None = None, **given: Any) -> Connection:  # noqa: ARG002 - the pool's signature
        """Open a session; `given` are further arguments of asyncpg, whose pool gives no address.

        Raises DatabaseUnavailable, DatabaseRefused (all servers refuse us, or we their
        certificates), or ConfigurationError for a file that cannot be read any more.
        """
        options = self._options() | given
        if len(self._hosts) > 1:
            return await self._first_that_will_do(options)
        return await self._open(_name(*self._hosts), options)

    async def _first_that_will_do(self, options: dict[str, Any]) -> Connection:
        asked = target(self._settings, direct=self._direct)
        writable = asked == "read-write"
        options["target_session_attrs"] = "any" if writable else asked
        failures: list[errors.TidemillError] = []
        for host in tuple(self._hosts):
            one = options | {"host": host[0], "port": host[1]}
            try:
                connection = await self._open(_name(host), one, writable=writable)
            except (errors.DatabaseUnavailable, errors.DatabaseRefused) as error:
                failures.append(error)
            else:
                self._hosts.remove(host)
                self._hosts.insert(0, host)
                return connection
        raise _all_of(failures) from failures[-1].__cause__

    async def _open(
        self, where: str, options: dict[str, Any], *, writable: bool = False
    ) -> Connection:
        with translated(where):
            connection: Connection = await asyncpg.connect(**options)
            try:
                if writable:
                    await connection.execute(_MUST_BE_WRITABLE)
                if self.pooled:
                    await _look_up_types(connection)
            except BaseException:
                connection.terminate()
                raise
            return connection

    def _options(self) -> dict[str, Any]:
        return connect_options(self._settings, application=self._application, direct=self._direct)


async def _look_up_types(connection: Connection) -> None:
    await connection.execute("BEGIN")
    await connection.prepare(_OF_ALL_TYPES)
    await connection.execute("ROLLBACK")


def _name(host: Host = ("", None)) -> str:
    name = f"[{host[0]}]" if ":" in host[0] else host[0]
    return f"{name}:{host[1]}" if host[1] else name


def _all_of(failures: list[errors.TidemillError]) -> errors.TidemillError:
    """Return one error for all servers: refused only if every one did."""
    told = "; ".join(str(each).removeprefix(CANNOT_BE_USED) for each in failures)
    if all(isinstance(each, errors.DatabaseRefused) for each in failures):
        return errors.DatabaseRefused(told)
    return errors.DatabaseUnavailable(f"{CANNOT_BE_USED}{told}")
