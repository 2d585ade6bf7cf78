"""Where an app's tasks go out: its clients, made at first use, and its middleware around them."""

import os
from collections.abc import Sequence
from typing import Any

from tidemill.client.base import Producer, swallowed
from tidemill.client.blocking import SyncClient
from tidemill.client.direct import Client
from tidemill.client.transactions import InTransaction
from tidemill.models import NewTask
from tidemill.sdk.enqueueing import around, handles
from tidemill.sdk.handle import Handle
from tidemill.sdk.middleware import Middleware
from tidemill.settings import Settings


class Outlet:
    """The sending half of an `App`."""

    def __init__(
        self,
        settings: Settings | None,
        middleware: Sequence[Middleware],
        client: Producer | None,
    ) -> None:
        """Use `client`, or make one of `settings` or the environment when it is needed."""
        self._settings = settings
        self.middleware = tuple(middleware)
        self._client: Producer | None = None
        self._sync_client = self._blocking()
        if client is not None:
            self.use(client)

    @property
    def client(self) -> Producer:
        """The client of asynchronous code, made at first use; it serves one event loop."""
        if self._client is None:
            # Not by `use`: it closes the sync client, which may be what asks, under its lock.
            made = Client.of(self._settings or Settings.load(os.environ))
            made.middleware = self.middleware
            self._client = made
        return self._client

    @property
    def sync_client(self) -> SyncClient:
        """The client of code that cannot await; any thread may use it."""
        return self._sync_client

    def use(self, client: Producer | None) -> Producer | None:
        """Enqueue through `client` from now on, and return the one before, which stays open.

        None: make one of the settings when it is needed.
        """
        former, self._client = self._client, client
        if client is not None:
            client.middleware = self.middleware
        self._sync_client.close()
        self._sync_client = self._blocking()
        return former

    async def enqueue_in(self, connection: object, tasks: Sequence[NewTask]) -> list[Handle[Any]]:
        """Enqueue `tasks` in the transaction of a connection of asyncpg or async psycopg.

        They commit or roll back with it. Its login needs the role `tidemill_producer` only.
        """
        if not tasks:
            return []
        with around(self.middleware, tasks) as given:
            return handles(given, await self._inside().store_in(connection, given), self)
        raise swallowed()

    def enqueue_in_sync(self, connection: object, tasks: Sequence[NewTask]) -> list[Handle[Any]]:
        """Enqueue `tasks` in the transaction of a connection of psycopg, psycopg2 or Django."""
        if not tasks:
            return []
        with around(self.middleware, tasks) as given:
            return handles(given, self._inside().store_in_sync(connection, given), self)
        raise swallowed()

    def _blocking(self) -> SyncClient:
        return SyncClient(lambda: self.client.copy())  # noqa: PLW0108 - the client of then

    def _inside(self) -> InTransaction:
        return self._client or InTransaction()
