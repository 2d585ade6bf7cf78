"""Can this server do its work? Looked up at most once a second, whoever asks."""

import asyncio
from dataclasses import dataclass
from typing import Final

from tidemill import schema
from tidemill.db import Database
from tidemill.errors import TidemillError
from tidemill_api.single import Shared

FRESH_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0
"""A database that takes longer to tell its schema number counts as down."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The database as last seen: reachable, and with a schema that fits or why not."""

    reachable: bool
    fits: bool
    reason: str | None


class Health:
    """This server's condition. `draining` is set once it should get no more requests."""

    def __init__(self, db: Database) -> None:
        """Look at `db`."""
        self._db = db
        self._condition = Shared(self._look)
        self.draining = False

    async def condition(self) -> Condition:
        """Return the database's condition, at most a second old. Never raises."""
        return await self._condition.get(FRESH_SECONDS)

    async def unready(self) -> str | None:
        """Return why requests should go elsewhere, or None."""
        if self.draining:
            return "draining"
        return (await self.condition()).reason

    async def _look(self) -> Condition:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await schema.status(self._db)
        except (TidemillError, TimeoutError):
            return Condition(reachable=False, fits=False, reason="the database does not answer")
        reason = None if found.fits else found.explain()
        return Condition(reachable=True, fits=found.fits, reason=reason)
