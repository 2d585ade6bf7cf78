"""A clock of the database that stands still and is moved by hand.

All of Tidemill's statements ask Postgres for the time, by functions named without their schema. So
a schema with functions of the same names, in front of `pg_catalog` in the search path, is another
clock: for the sessions that were opened for it, and for every function of the schema `tidemill`,
whoever calls it. Nothing is slept, no row is touched, and the server's other databases never know.
"""

from datetime import datetime, timedelta
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from tidemill import sql
from tidemill.db import Database
from tidemill.store.upkeep import UpkeepStore

_PATH: Final = "tidemill_clock, pg_catalog"
_HERE: Final = files("tidemill_worker.testing")
_LONGEST_DAYS_AHEAD: Final = 7


def seeing(url: str) -> str:
    """Return the address of sessions that see the clock of `url`'s database, once it stands."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | {"search_path": _PATH}
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


class Clock:
    """The clock of one database; `db` was opened with an address from `seeing`."""

    def __init__(self, db: Database) -> None:
        """Leave the clock running."""
        self._db = db
        self._upkeep = UpkeepStore(db)
        self.stands = False
        """Whether time stands still"""

    async def now(self) -> datetime:
        """Return what time it is."""
        at: datetime = await self._db.fetchval(sql.load("now"))
        return at

    async def freeze(self) -> datetime:
        """Stop the clock, and return the time it shows from now on. Harmless twice."""
        if not self.stands:
            await self._run("clock_removed.sql", "clock.sql")
            self.stands = True
        return await self.now()

    async def advance(self, ahead: timedelta) -> datetime:
        """Move the clock ahead (a running one is stopped first), and return its time."""
        if ahead < timedelta(0):
            raise ValueError(f"time goes on only: must be 0 or more (got {ahead})")
        await self.freeze()
        await self._db.execute("UPDATE tidemill_clock.stands SET at = at + $1", ahead)
        await self._upkeep.ensure_partitions(_LONGEST_DAYS_AHEAD)  # of the days there
        return await self.now()

    async def release(self) -> None:
        """Let Postgres's own clock be seen again."""
        if self.stands:
            await self._run("clock_removed.sql")
            self.stands = False

    async def _run(self, *scripts: str) -> None:
        text = "".join(_HERE.joinpath(each).read_text("utf-8") for each in scripts)
        async with self._db.transaction() as session:
            await session.connection.execute(text)
