"""The API process: opens the database, listens, and on stop finishes what it accepted.

Order of stopping: readiness says no (and, for `api_drain_delay_seconds`, all goes on, while load
balancers turn away); the port closes; requests in hand, and those on their way, are answered with
`Connection: close`; idle connections close; waiting inserts are flushed; then the loops and the
pool end. So nothing that was acknowledged depends on anything that has ended, and nothing accepted
is dropped.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiohttp import web

from tidemill.db import Database
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill_api.app import build
from tidemill_api.connections import LINGER_SECONDS, Rooms
from tidemill_api.context import Api
from tidemill_api.light import LightProtocol, LightWay
from tidemill_api.listening import Entrance, Turns, bound, entrances, shown
from tidemill_api.running import database_ready, stop_waiting, working
from tidemill_api.short import ENQUEUE, ShortWay

DRAIN_SECONDS: Final = 20.0
"""How long requests in hand may take to finish after stop."""

HURRIED_SECONDS: Final = 1.0
"""How long when told again."""

LAST_CALL_SECONDS: Final = 0.5
"""How long an idle connection may still bring a request once the port is closed."""

_CUT_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 0.02

_log = logging.getLogger(__name__)


async def serve(
    settings: Settings,
    *,
    stop: asyncio.Event,
    hurry: asyncio.Event | None = None,
    ready: Callable[[int], None] | None = None,
    sockets: Sequence[socket.socket] = (),
) -> None:
    """Serve until `stop` is set; `ready` is called with the port once requests are answered.

    `sockets` listen already, for several processes; without them the settings' address is bound.
    `hurry` cuts the drain short.

    Raises ConfigurationError (address in use, no database address), DatabaseUnavailable or
    SchemaMismatch when the database does not come up in `database_wait_seconds`.
    """
    hurry = hurry or asyncio.Event()
    serving = asyncio.ensure_future(_serve(settings, stop, hurry, ready, sockets))
    hurried = asyncio.ensure_future(hurry.wait())
    try:
        await asyncio.wait((serving, hurried), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            _log.info("stopping at once: requests in hand have %g s", HURRIED_SECONDS)
            await asyncio.wait((serving,), timeout=HURRIED_SECONDS)
    finally:
        hurried.cancel()
        while not serving.done():  # each wait of its end is cut short
            serving.cancel()
            await asyncio.wait((serving,), timeout=_CUT_SECONDS)
    if not serving.cancelled():
        serving.result()


async def _serve(
    settings: Settings,
    stop: asyncio.Event,
    hurry: asyncio.Event,
    ready: Callable[[int], None] | None,
    sockets: Sequence[socket.socket],
) -> None:
    db = Database.of(settings, application="tidemill api")
    try:
        api = Api.of(settings, db, Hints(db))  # bad tokens are told with the database away, too
        if await _finished(database_ready(db, settings), stop):
            async with working(api), listening(api, sockets) as port:
                if not sockets:
                    announce(settings, port)
                if ready is not None:
                    ready(port)
                await stop.wait()
                await _turn_away(api, hurry)
    finally:
        await db.close()


@asynccontextmanager
async def listening(api: Api, sockets: Sequence[socket.socket]) -> AsyncGenerator[int]:
    """Listen; yields the port. At exit answers what is in hand."""
    # aiohttp waits that long twice: for bodies that are on their way, and then for handlers
    runner = web.AppRunner(build(api), handle_signals=False, shutdown_timeout=DRAIN_SECONDS / 2)
    await runner.setup()
    opened: list[Entrance] = []
    try:
        mine = list(sockets) or bound(api.settings.api_host, api.settings.api_port)
        protocol = _protocol(runner, api)
        opened += [Turns(mine, protocol)] if sockets else await entrances(mine, protocol)
        yield mine[0].getsockname()[1]
    finally:
        for each in opened:
            each.close()
        stop_waiting(api)
        await _last_call(runner)
        await runner.cleanup()


def _protocol(runner: web.AppRunner, api: Api) -> Callable[[], LightProtocol]:
    manager = runner.server
    if manager is None:
        raise RuntimeError("the runner is not set up")
    manager.request_handler = ShortWay(api, manager.request_handler)
    rooms = Rooms(api.settings.api_connections)
    options: dict[str, Any] = {
        "loop": asyncio.get_running_loop(),
        "access_log": None,
        "auto_decompress": False,  # see inflating.py
        "keepalive_timeout": api.settings.api_keepalive_seconds,
        "lingering_time": LINGER_SECONDS,
    }
    way = LightWay(api, ENQUEUE)
    return lambda: LightProtocol(manager, rooms, way, **options)


async def _turn_away(api: Api, hurry: asyncio.Event) -> None:
    """Tell probes and clients that this is ending, and serve on while load balancers learn it."""
    api.health.draining = True
    if delay := api.settings.api_drain_delay_seconds:
        _log.info("stopping in %g s: not ready from now on", delay)
        with suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), delay)
    _log.info("stopping: answering what is in hand")


async def _last_call(runner: web.AppRunner) -> None:
    """Let requests arrive that were sent before the end: on open connections, and answered.

    Each answer says `Connection: close` now, so who goes on asking is gone after one.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + LAST_CALL_SECONDS
    while runner.server is not None and runner.server.connections and clock() < until:  # noqa: ASYNC110 - no event
        await asyncio.sleep(_LOOK_SECONDS)


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


def announce(settings: Settings, port: int) -> None:
    """Say where requests are answered, and whether of anybody."""
    place = f"{shown(settings.api_host)}:{port}{settings.api_prefix}"
    _log.info("listening on http://%s", place)
    if not (settings.tokens_file or settings.tokens):
        _log.warning(
            "AUTHENTICATION IS OFF: no tokens are configured; whoever reaches %s may enqueue, read "
            "and delete tasks. `tidemill tokens new --help` says how to make one, and "
            "TIDEMILL_TOKENS_FILE names the file that holds them",
            place,
        )
