"""What runs behind the handlers, in a process of ours or in another's application."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

from tidemill import maintenance
from tidemill.db import Database, wait_for_database
from tidemill.schema import wait_for_schema
from tidemill.service import Group
from tidemill.settings import Settings
from tidemill_api.context import Api

FLUSH_SECONDS: Final = 5.0
"""How long inserts whose requests were cut off may take once no request is left."""


async def database_ready(db: Database, settings: Settings) -> None:
    """Return once the database answers and its schema fits.

    Raises DatabaseUnavailable or SchemaMismatch after `database_wait_seconds`.
    """
    await wait_for_database(db, settings.database_wait_seconds)
    await wait_for_schema(db, settings.database_wait_seconds)


def stop_waiting(api: Api) -> None:
    """Answer the long polls: a server that ends keeps nobody waiting."""
    api.claims.close()
    api.waits.close()
    api.feed.close()


@asynccontextmanager
async def working(api: Api) -> AsyncGenerator[None]:
    """Run what `api`'s handlers need. At exit what was accepted is stored, then all ends."""
    duties = maintenance.duties(api.store, api.settings, api.hints.hint)
    watches = [api.watch] if api.watch else []
    group = Group([*watches, api.hints, api.claims, api.waits, api.feed, *duties], "api")
    await group.start()
    try:
        yield
    finally:
        try:
            with suppress(TimeoutError):  # whom it would be answered to has been sent away
                async with asyncio.timeout(FLUSH_SECONDS):
                    await api.enqueuer.close()
                    await api.endings.close()
        finally:
            await group.stop()
