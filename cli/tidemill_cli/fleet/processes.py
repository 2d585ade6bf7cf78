"""`tidemill api --processes N`: one parent that holds the port, N children that serve it.

The parent binds and listens; the children inherit its sockets and accept from the same queue. So
a port in use is found before anything starts (with SO_REUSEPORT a second server would share it
unseen), what waits to be accepted survives a child's death, and the others take it at once. Each
child accepts one connection a turn of its loop, so that a busy one takes fewer.

The first child starts alone: what keeps it from starting would keep them all, and is said once.
"""

import asyncio
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Final

from prometheus_client.multiprocess import (
    mark_process_dead,  # pyright: ignore[reportUnknownVariableType] - the library has no types
)

from tidemill.db import Database
from tidemill.errors import ConfigurationError
from tidemill.notify import Hints
from tidemill.setting import variable_of
from tidemill.settings import Settings
from tidemill_api.context import Api
from tidemill_api.listening import bound
from tidemill_api.metrics import FOLDER
from tidemill_api.server import DRAIN_SECONDS, announce
from tidemill_cli.fleet.member import EndedError, Member
from tidemill_cli.fleet.told import told_twice

BEYOND_DRAIN_SECONDS: Final = 15.0
"""What a child may take to end besides its drain: inserts, loops, the pool."""

_HURRIED_SECONDS: Final = 4.0
_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Serve with `api_processes` processes until told to stop; return the exit code.

    Raises ConfigurationError for an address, tokens or other settings that cannot be used.
    """
    _check(settings)
    sockets = bound(settings.api_host, settings.api_port)
    try:
        with tempfile.TemporaryDirectory(prefix="tidemill-api-") as folder:
            return asyncio.run(Processes(settings, sockets, folder).run())
    except FileNotFoundError as error:
        raise ConfigurationError(f"TMPDIR: {error.strerror}: {error}") from error
    finally:
        for each in sockets:
            each.close()


class Processes:
    """Keeps the children, and tells them to stop."""

    def __init__(self, settings: Settings, sockets: Sequence[socket.socket], folder: str) -> None:
        """Start nothing yet; figures are kept in `folder`."""
        self._settings = settings
        self._sockets = sockets
        self._port = sockets[0].getsockname()[1]
        self._stopping, self._proven = asyncio.Event(), asyncio.Event()
        environ = environment(os.environ, settings, folder)
        files = [each.fileno() for each in sockets]

        def forget(pid: int) -> None:
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]  # it has no types

        program = [sys.executable, "-P", "-m", "tidemill_cli.fleet.child", *map(str, files)]
        self._members = [
            Member(
                f"api-{number}",
                program=program,
                environ=environ,
                files=files,
                stopping=self._stopping,
                proven=self._proven,
                forget=forget,
            )
            for number in range(1, settings.api_processes + 1)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Run until told to stop, or until a child cannot go on; return the exit code."""
        with told_twice() as (stop, hurry):
            first, *others = self._members
            self._keep(first)
            await self._until(stop, self._proven)
            if self._proven.is_set() and not stop.is_set():
                for each in others:
                    self._keep(each)
                announce(self._settings, self._port)
                telling = asyncio.create_task(self._tell_when_all_serve())
                await self._until(stop)
                telling.cancel()
            return await self._stop(hurry)

    async def _tell_when_all_serve(self) -> None:
        for each in self._members:
            await each.ready.wait()
        _log.info("%d processes serve it", len(self._members))

    def _keep(self, member: Member) -> None:
        self._tasks.append(asyncio.create_task(member.run(), name=member.name))

    async def _until(self, *events: asyncio.Event) -> None:
        """Return when one of the events is set, or a child cannot be kept."""
        waits = [asyncio.ensure_future(each.wait()) for each in events]
        await asyncio.wait([*waits, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()

    async def _stop(self, hurry: asyncio.Event) -> int:
        if running := sum(not each.done() for each in self._tasks):
            _log.info("stopping: each of %d answers what it has in hand", running)
        self._stopping.set()
        for mine in self._sockets:  # the port closes when the last child has closed it
            mine.close()
        for each in self._members:
            each.terminate()
        ending = asyncio.gather(*self._tasks, return_exceptions=True)
        seconds = self._settings.api_drain_delay_seconds + DRAIN_SECONDS
        if not await _ended(ending, hurry, seconds + BEYOND_DRAIN_SECONDS):
            for each in self._members:
                each.terminate()
            if not await _ended(ending, asyncio.Event(), _HURRIED_SECONDS):
                for each in self._members:
                    each.kill()
        ends = await ending
        codes = [each.code for each in ends if isinstance(each, EndedError)]
        unforeseen = [each for each in ends if isinstance(each, Exception)]
        if not codes and unforeseen:
            raise unforeseen[0]
        return codes[0] if codes else 0


def environment(environ: Mapping[str, str], settings: Settings, folder: str) -> dict[str, str]:
    """Return what children start with: the settings as their variables, options included."""
    ours = {variable_of(each.name): str(getattr(settings, each.name)) for each in fields(settings)}
    return {**environ, **ours, FOLDER: folder}


def _check(settings: Settings) -> None:
    """Raise ConfigurationError for what would keep every child from starting."""
    db = Database.of(settings, application="tidemill api")
    Api.of(settings, db, Hints(db))


async def _ended(
    ending: "asyncio.Future[list[BaseException | None]]", hurry: asyncio.Event, seconds: float
) -> bool:
    hurried = asyncio.ensure_future(hurry.wait())
    await asyncio.wait((ending, hurried), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    return ending.done()
