"""Wake-ups between processes: a throttled hint, never relied on. Everyone polls as well.

NOTIFY takes a server-wide lock at commit and costs every listener, so a hint is sent outside the
enqueue's transaction, at most one a queue every 50 ms: at once for the first (leading edge), and
once more after the pause for what came in it (trailing edge).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from tidemill import sql
from tidemill.connecting import Connection, Connector
from tidemill.db import Database
from tidemill.dberrors import translated
from tidemill.errors import TidemillError
from tidemill.service import Loop, Service
from tidemill.settings import Settings

log = logging.getLogger(__name__)

CHANNEL: Final = "tidemill"
CANCEL_CHANNEL: Final = "tidemill_cancel"
"""Carries the id of a worker that was marked, or holds tasks which somebody asked to cancel."""

RECOVER_CHANNEL: Final = "tidemill_recover"
"""Says that leases of a worker that is known to be dead have expired."""

HINT_SECONDS: Final = 0.05
CHECK_SECONDS: Final = 10.0

Callback = Callable[[str], None]


class Hints(Service):
    """Sends hints that a queue has something to claim."""

    name = "hints"

    def __init__(self, database: Database) -> None:
        """Use `database` for the notifications."""
        self._database = database
        self._due: set[str] = set()
        self._sender: asyncio.Task[None] | None = None
        self._stopped = False

    async def start(self) -> None:
        """Nothing runs until there is something to send."""
        self._stopped = False

    async def stop(self) -> None:
        """Send what is due and end."""
        self._stopped = True
        if self._sender:
            await asyncio.gather(self._sender, return_exceptions=True)

    def hint(self, queue: str) -> None:
        """Tell workers soon that `queue` has something to claim."""
        if self._stopped:
            return
        self._due.add(queue)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send(), name="hints")

    async def _send(self) -> None:
        while self._due:
            queues, self._due = sorted(self._due), set()
            try:
                await self._database.execute(sql.load("notify"), queues)
            except TidemillError as error:
                log.debug("hint not sent: %s", error)  # pollers find the tasks
            if not self._stopped:
                await asyncio.sleep(HINT_SECONDS)


class Listener(Loop):
    """Hears notifications on a connection of its own and tells subscribers what they carry.

    Every 10 s the connection is checked by a statement on its own session; a dead one is replaced.
    Without a direct address (a pooler in between) it does nothing, and pollers poll.
    """

    def __init__(self, settings: Settings, *, application: str) -> None:
        """Listen on the direct address of `settings`."""
        super().__init__("listener", CHECK_SECONDS)
        self._settings = settings
        self._application = application
        self._subscribers: dict[str, list[Callback]] = {CHANNEL: []}
        self._connect: Connector | None = None
        self._connection: Connection | None = None

    def subscribe(self, callback: Callback, *, channel: str = CHANNEL) -> None:
        """Call `callback(payload)` on the event loop for each notification on `channel`.

        By default that is the queue of a hint. '' means: something may have been missed, look at
        everything. To be called before the start.
        """
        self._subscribers.setdefault(channel, []).append(callback)

    @property
    def listening(self) -> bool:
        """Whether a connection is up."""
        return self._connection is not None and not self._connection.is_closed()

    async def run_once(self) -> int:
        """Connect if need be, else check the connection."""
        if not self._settings.direct_url:
            return 0
        if self.listening and await self._answers():
            return 0
        await self._drop()
        if self._connect is None:  # kept: it knows which of several servers answered last
            self._connect = Connector(self._settings, application=self._application, direct=True)
        connection = await self._connect()
        try:
            with translated():
                for channel in tuple(self._subscribers):
                    await connection.add_listener(channel, self._heard)
        except BaseException:
            connection.terminate()
            raise
        connection.add_termination_listener(self._lost)
        self._connection = connection
        for channel in self._subscribers:
            self._tell(channel, "")  # something may have been missed meanwhile
        return 0

    async def stop(self) -> None:
        """Stop and close the connection."""
        await super().stop()
        await self._drop()

    async def _answers(self) -> bool:
        if (connection := self._connection) is None:
            return False
        try:
            async with asyncio.timeout(CHECK_SECONDS / 2):
                read_only = await connection.fetchval("SHOW transaction_read_only")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it gets replaced
            log.info("the listening connection is dead, reconnecting: %r", error)
            return False
        if read_only == "on":
            log.info("the listening connection's server is read-only now, looking for another")
        return bool(read_only == "off")

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.remove_termination_listener(self._lost)
            connection.terminate()

    def _heard(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        self._tell(channel, str(payload))

    def _lost(self, _connection: Any) -> None:
        self.wake()

    def _tell(self, channel: str, payload: str) -> None:
        for subscriber in self._subscribers[channel]:
            subscriber(payload)
