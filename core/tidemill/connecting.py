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


class Connector:
    """Opens sessions for one purpose. Call it; it suits asyncpg's pool."""

    def __init__(self, settings: Settings, *, application: str, direct: bool = False) -> None:
        """Check what can be checked. Raises ConfigurationError; nothing is connected."""
        self._settings = settings
        self._application = application
        self._direct = direct
        self._hosts = hosts(settings, direct=direct)
        self.pooled = is_pooled(settings, direct=direct)
        self._options()

    @property
    def first_statements(self) -> str:
        """What each transaction begins with after its BEGIN; empty where the session keeps it."""
        return first_statements(self._settings) if self.pooled else ""

    async def __call__(self, dsn: str | None = None, **given: Any) -> Connection:  # noqa: ARG002 - the pool's signature
        """Open a session; `given` are further arguments of asyncpg, whose pool gives no address.

        Raises DatabaseUnavailable, DatabaseRefused (all servers refuse us, or we their
        certificates), or ConfigurationError for a file that cannot be read any more.
        """
        options = self._options() | given
        if len(self._hosts) < 2:  # noqa: PLR2004 - one server, or the driver's defaults
            where = _name(self._hosts[0]) if self._hosts else ""
            with translated(where):
                return await asyncpg.connect(**options)
        return await self._first_that_will_do(options)

    async def _first_that_will_do(self, options: dict[str, Any]) -> Connection:
        failures: list[errors.TidemillError] = []
        for host in tuple(self._hosts):
            try:
                connection = await self._open(host, options)
            except (errors.DatabaseUnavailable, errors.DatabaseRefused) as error:
                failures.append(error)
            else:
                self._hosts.remove(host)
                self._hosts.insert(0, host)
                return connection
        raise _all_of(failures) from failures[-1].__cause__

    async def _open(self, host: Host, options: dict[str, Any]) -> Connection:
        asked = target(self._settings, direct=self._direct)
        of_driver = "any" if asked == "read-write" else asked
        one: dict[str, Any] = {"host": host[0], "port": host[1], "target_session_attrs": of_driver}
        with translated(_name(host)):
            connection: Connection = await asyncpg.connect(**options | one)
            try:
                if asked == "read-write":
                    await connection.execute(_MUST_BE_WRITABLE)
            except BaseException:
                connection.terminate()
                raise
            return connection

    def _options(self) -> dict[str, Any]:
        return connect_options(self._settings, application=self._application, direct=self._direct)


def _name(host: Host) -> str:
    name = f"[{host[0]}]" if ":" in host[0] else host[0]
    return f"{name}:{host[1]}" if host[1] else name


def _all_of(failures: list[errors.TidemillError]) -> errors.TidemillError:
    """Return one error for all servers: refused only if every one did."""
    told = "; ".join(str(each).removeprefix(CANNOT_BE_USED) for each in failures)
    if all(isinstance(each, errors.DatabaseRefused) for each in failures):
        return errors.DatabaseRefused(told)
    return errors.DatabaseUnavailable(f"{CANNOT_BE_USED}{told}")
