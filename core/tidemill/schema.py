"""Bringing a database to the schema that this code needs, and telling whether it fits.

Migrations are forward-only, one transaction each, under an advisory lock that makes others wait.
A migration's first line says which code may still run on what it leaves.
"""

import asyncio
import re
from dataclasses import dataclass

from tidemill import sql
from tidemill.db import Database, Record, Session
from tidemill.dberrors import translated
from tidemill.errors import ConfigurationError, DatabaseUnavailable, SchemaMismatch

LATEST = sql.migrations()[-1][0]
"""The schema number that this code was written for."""

_LOCK = 7_349_115_201
_LONGEST_SECONDS = 3600.0
_OLDEST = re.compile(r"^-- Oldest code that may run on the schema after this migration: (\d+)$")


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """A database's schema beside this code's. `current` is 0 for an empty database."""

    current: int
    latest: int
    oldest_code: int
    pending: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether this code may run on this database."""
        return self.current == self.latest or (
            self.current > self.latest and self.oldest_code <= self.latest
        )

    @property
    def too_new(self) -> bool:
        """Whether newer code has left a schema that this code must not touch."""
        return self.current > self.latest and not self.fits

    def explain(self) -> str:
        """Return the state in one sentence, with what to do."""
        if self.fits:
            return f"schema {self.current} fits this code (written for {self.latest})"
        if self.too_new:
            return (
                f"schema {self.current} needs code for at least {self.oldest_code}; "
                f"this code is for {self.latest}: upgrade it"
            )
        return (
            f"schema {self.current} is older than this code's {self.latest}: run `tidemill migrate`"
        )


async def status(database: Database) -> SchemaStatus:
    """Return how the database's schema stands to this code."""
    async with database.session() as session:
        return await _status(session)


async def migrate(database: Database, *, to: int | None = None) -> list[str]:
    """Apply the migrations up to `to` (default: all) and return the names of those applied.

    A newer schema is left alone. Raises ConfigurationError for a number that no migration has.
    """
    known = [number for number, _, _ in sql.migrations()]
    target = known[-1] if to is None else to
    if target not in known:
        raise ConfigurationError(f"--to must be {known[0]} to {known[-1]} (got {target})")
    applied: list[str] = []
    for number, name, text in sql.migrations():
        if number <= target and await _apply(database, number, name, text):
            applied.append(name)
    return applied


async def migrate_down(database: Database) -> list[str]:
    """Drop the schema with everything in it, for development; return what was dropped."""
    async with database.transaction() as session:
        if not (await _status(session)).current:
            return []
        await session.execute("DROP SCHEMA tidemill CASCADE")
        return ["tidemill"]


async def wait_for_schema(database: Database, seconds: float) -> None:
    """Return when the schema fits this code; wait up to `seconds` while it is older.

    Raises SchemaMismatch for one that is too new, or still older in the end.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        found = await _status_or_none(database, final=loop.time() > deadline)
        if found and found.fits:
            return
        if found and (found.too_new or loop.time() > deadline):
            raise SchemaMismatch(found.explain())
        await asyncio.sleep(0.5)


async def _status_or_none(database: Database, *, final: bool) -> SchemaStatus | None:
    try:
        return await status(database)
    except DatabaseUnavailable:
        if final:
            raise
        return None


async def _status(session: Session) -> SchemaStatus:
    rows: list[Record] = []
    if await session.fetchval("SELECT to_regclass('tidemill.migrations') IS NOT NULL"):
        rows = await session.fetch("SELECT number, oldest_code FROM tidemill.migrations")
    done = {row["number"] for row in rows}
    return SchemaStatus(
        current=max(done, default=0),
        latest=LATEST,
        oldest_code=max((row["oldest_code"] for row in rows), default=0),
        pending=tuple(name for number, name, _ in sql.migrations() if number not in done),
    )


async def _apply(database: Database, number: int, name: str, text: str) -> bool:
    found = _OLDEST.match(text.partition("\n")[0])
    if not found:
        raise ValueError(f"{name}.sql: the first line must say the oldest code that may run on it")
    async with database.transaction() as session:
        # Others wait here for our commit, and then find the migration applied.
        with translated():
            await session.connection.execute(
                f"SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({_LOCK})",
                timeout=_LONGEST_SECONDS,
            )
        if (await _status(session)).current >= number:
            return False
        with translated():
            await session.connection.execute(text, timeout=_LONGEST_SECONDS)
        await session.execute(
            "INSERT INTO tidemill.migrations (number, name, oldest_code) VALUES ($1, $2, $3)",
            number,
            name,
            int(found[1]),
        )
    return True
