"""What is left to do in some queues: for a worker that ends when there is nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tidemill import sql
from tidemill.db import Database


@dataclass(frozen=True, slots=True)
class Remaining:
    """The queues where something waits, whether anything runs, whether anything is due soon."""

    queued: tuple[str, ...]
    running: bool
    due: bool

    @property
    def nothing(self) -> bool:
        """Whether all is done."""
        return not (self.queued or self.running or self.due)


class RemainingStore:
    """Looks into `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def look(
        self, queues: Sequence[str] | None, *, types: Collection[str], due_within: float
    ) -> Remaining:
        """Return what is left in `queues` (None = all that no TaskQueue owns).

        Of scheduled tasks those of `types` that are due within `due_within` seconds. Raises
        DatabaseUnavailable.
        """
        names = None if queues is None else list(queues)
        row = await self._db.fetchrow(sql.load("remaining"), names, due_within, list(types))
        if row is None:  # one row always comes; for the type checker
            return Remaining((), running=False, due=False)
        return Remaining(tuple(row["queued"]), row["running"], row["due"])
