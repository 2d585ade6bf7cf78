"""The API inside another aiohttp application: `main.add_subapp("/tidemill/", application())`.

It starts and stops with that application. It takes no signals and leaves logging alone; its
problems are its own, answers outside its prefix are the other's.
"""

import os
from collections.abc import AsyncIterator

from aiohttp import web

from tidemill.db import Database
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill_api.app import build
from tidemill_api.context import API, Api
from tidemill_api.running import database_ready, stop_waiting, working


def application(settings: Settings | None = None) -> web.Application:
    """Return the API as an application to mount, or to run on its own.

    Without `settings` the environment's are used. Raises ConfigurationError; opens nothing. Its
    start waits for the database, and raises DatabaseUnavailable or SchemaMismatch after
    `database_wait_seconds`.
    """
    settings = settings or Settings.load(os.environ)
    db = Database.of(settings, application="tidemill api")
    app = build(Api.of(settings, db, Hints(db)))
    app.cleanup_ctx.append(_running)
    app.on_shutdown.append(_stop_accepting)
    return app


async def _running(app: web.Application) -> AsyncIterator[None]:
    api = app[API]
    try:
        await database_ready(api.store.db, api.settings)
        async with working(api):
            yield
    finally:
        await api.store.db.close()


async def _stop_accepting(app: web.Application) -> None:
    """Send probes away, and answer long polls; other requests in hand are answered after this."""
    app[API].health.draining = True
    stop_waiting(app[API])
