"""Databases for tests: each with the schema in it, and of its own."""

import asyncio
import itertools
import os
import secrets
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from tidemill.db import Database, connect
from tidemill.schema import migrate
from tidemill.settings import Settings

T = TypeVar("T")


class Databases:
    """Makes databases on one server, for code with or without an event loop.

    Migrations run once, into a template; each further database is a copy of it, some 50 ms.
    """

    def __init__(self, url: str) -> None:
        """Take the address of any database of a server where the login may make others.

        It must be allowed to create databases and roles (the migrations make Tidemill's roles).
        """
        self._url = url
        run = f"{os.getpid()}_{secrets.token_hex(2)}"
        self._names = (f"tidemill_test_{run}_{n}" for n in itertools.count())
        self._template = ""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop the template; drop what `new` made before."""
        if self._template:
            self.drop(self._template)

    def new(self) -> str:
        """Make a database and return its address."""
        if not self._template:
            template = self._make()
            _apart(_migrated(_settings(template)))
            self._template = template
        return self._make(template=_name_of(self._template))

    def drop(self, url: str) -> None:
        """Drop a database that `new` made, whoever is still connected to it."""
        self._order(f'DROP DATABASE IF EXISTS "{_name_of(url)}" WITH (FORCE)')

    def _make(self, *, template: str = "template1") -> str:
        name = next(self._names)
        self._order(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    def _order(self, statement: str) -> None:
        _apart(_executed(_settings(self._url), statement))


def _settings(url: str) -> Settings:
    return Settings.load({}, database_url=url)


def _name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


async def _migrated(settings: Settings) -> None:
    db = Database.of(settings, application="tidemill-testing")
    try:
        await migrate(db)
    finally:
        await db.close()


async def _executed(settings: Settings, statement: str) -> None:
    connection = await connect(settings, application="tidemill-testing")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on a loop of its own in a thread of its own, whatever runs in this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="tidemill-testing") as thread:
        return thread.submit(asyncio.run, work).result()
