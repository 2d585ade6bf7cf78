"""The API process: opens the database, listens, and on stop finishes what it accepted.

Order of stopping: readiness says no; the port closes; requests in hand are answered; waiting
inserts are flushed; then the loops and the pool end. So nothing that was acknowledged depends on
anything that has ended, and nothing accepted is dropped.
"""

import asyncio
import errno
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from tidemill.db import Database
from tidemill.errors import ConfigurationError
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill_api.app import build
from tidemill_api.context import Api
from tidemill_api.protocol import ProblemProtocol
from tidemill_api.running import database_ready, stop_waiting, working
from tidemill_api.short import ShortWay

DRAIN_SECONDS: Final = 20.0
"""How long requests in hand may take to finish after stop."""

KEEPALIVE_SECONDS: Final = 75.0
_log = logging.getLogger(__name__)


async def serve(
    settings: Settings, *, stop: asyncio.Event, ready: Callable[[int], None] | None = None
) -> None:
    """Serve until `stop` is set; `ready` is called with the port once requests are answered.

    Raises ConfigurationError (address in use, no database address), DatabaseUnavailable or
    SchemaMismatch when the database does not come up in `database_wait_seconds`.
    """
    db = Database.of(settings, application="tidemill api")
    try:
        if await _finished(database_ready(db, settings), stop):
            await _serve(settings, db, stop, ready)
    finally:
        await db.close()


async def _serve(
    settings: Settings, db: Database, stop: asyncio.Event, ready: Callable[[int], None] | None
) -> None:
    api = Api.of(settings, db, Hints(db))
    async with working(api), listening(api) as port:
        _announce(settings, port)
        if ready is not None:
            ready(port)
        await stop.wait()
        api.health.draining = True
        _log.info("stopping: answering what is in hand")


@asynccontextmanager
async def listening(api: Api) -> AsyncGenerator[int]:
    """Listen on the settings' address; yields the port. At exit answers what is in hand."""
    runner = web.AppRunner(build(api), handle_signals=False, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    try:
        server = await _bound(runner, api)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            stop_waiting(api)
    finally:
        await runner.cleanup()


async def _bound(runner: web.AppRunner, api: Api) -> asyncio.Server:
    host, port = api.settings.api_host, api.settings.api_port
    loop, manager = asyncio.get_running_loop(), runner.server
    if manager is None:
        raise RuntimeError("the runner is not set up")
    manager.request_handler = ShortWay(api, manager.request_handler)
    options: dict[str, Any] = {"access_log": None, "keepalive_timeout": KEEPALIVE_SECONDS}

    def protocol() -> ProblemProtocol:
        return ProblemProtocol(manager, loop=loop, **options)

    try:
        return await loop.create_server(protocol, host, port, backlog=1024)
    except OSError as error:
        raise ConfigurationError(_refusal(error, host, port)) from error


def _refusal(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"TIDEMILL_API_PORT: {_shown(host)}:{port} is in use by another process"
    if error.errno == errno.EACCES:
        return f"TIDEMILL_API_PORT: not allowed to listen on {_shown(host)}:{port}"
    return f"TIDEMILL_API_HOST: cannot listen on {_shown(host)}:{port}: {error.strerror or error}"


async def _finished(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Return True when `work` is done, False when `stop` came first. Raises what `work` raises."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait((working,))
        return False
    working.result()
    return True


def _announce(settings: Settings, port: int) -> None:
    place = f"{_shown(settings.api_host)}:{port}"
    _log.info("listening on http://%s", place)
    if not (settings.tokens_file or settings.tokens):
        _log.warning(
            "AUTHENTICATION IS OFF: no tokens are configured; whoever reaches %s may enqueue, read "
            "and delete tasks. `tidemill tokens new --help` says how to make one, and "
            "TIDEMILL_TOKENS_FILE names the file that holds them",
            place,
        )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
