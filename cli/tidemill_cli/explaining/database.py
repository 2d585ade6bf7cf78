"""Decisions about a queue, as the database keeps them for a week."""

import asyncio

from tidemill.db import Database, wait_for_database
from tidemill.errors import NotFound
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.scaling import RecordedDecision
from tidemill_cli.explaining.told import Told


def of_queue(settings: Settings, queue: str, *, limit: int) -> list[Told]:
    """Return up to `limit` decisions about a queue, the newest first.

    Raises NotFound for a queue that is not there, and what the database raises.
    """
    return [told_of(each) for each in asyncio.run(_decisions(settings, queue, limit))]


async def _decisions(settings: Settings, queue: str, limit: int) -> list[RecordedDecision]:
    database = Database.of(settings, application="tidemill explain", pool_size=1, direct=True)
    try:
        await wait_for_database(database, settings.database_wait_seconds)
        store = Store.of(database)
        names = sorted(each.name for each in await store.queues.list())
        if queue not in (*names, "*"):
            raise NotFound(f"queue {queue} is not there (there are: {', '.join(names) or 'none'})")
        return await store.scaling.decisions(queue, limit=limit)
    finally:
        await database.close()


def told_of(decision: RecordedDecision) -> Told:
    """Return what was kept of a decision."""
    return Told(
        target=decision.target,
        queue=decision.queue,
        at=decision.decided_at,
        replicas=decision.desired,
        before=decision.replicas,
        reason=decision.reason,
        inputs=decision.inputs,
        clamps=decision.clamps,
    )
