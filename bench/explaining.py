"""What a claim costs in the server, as the server sees it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tidemill import sql
from tidemill.db import Database, Record, Session

_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON)"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one execution: milliseconds in the server, buffers touched, bytes logged."""

    milliseconds: float
    buffers: int
    wal_bytes: int


class Explaining(Database):
    """Another database's sessions; each claim is explained first, undone, then done.

    So the claims are those that a worker makes at that moment, whatever it has in memory.
    """

    def __init__(self, database: Database) -> None:
        """Work on `database`, which stays its owner's to close."""
        self._database = database
        self.costs: list[Cost] = []

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session]:
        """Lend one connection of the other's pool."""
        async with self._database.session() as session:
            yield session

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """Return all rows."""
        if sql == CLAIM:
            self.costs.append(await self._explained(args))
        return await self._database.fetch(sql, *args)

    async def _explained(self, args: tuple[Any, ...]) -> Cost:
        async with self.session() as session:
            await session.execute("BEGIN")
            try:
                text = await session.fetchval(f"{_EXPLAIN} {CLAIM}", *args)
            finally:
                await session.execute("ROLLBACK")
        return cost_of(text)


CLAIM = sql.load("claim")


def cost_of(explained: str) -> Cost:
    """Return the cost that an explained statement names."""
    found = json.loads(explained)[0]
    plan = found["Plan"]
    return Cost(
        milliseconds=found["Execution Time"],
        buffers=plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        wal_bytes=plan["WAL Bytes"],
    )
