"""Postgres for tests: one server a session, a database of its own for each test.

The server is TIDEMILL_TEST_DATABASE_URL (a superuser's address of an existing server), or one of
our own in a temporary folder, with the programs in TIDEMILL_TEST_PG_BIN or the best ones found.
Migrations run once, into a template; each test's database is a copy of it (some 20 ms).
"""

import asyncio
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tidemill.db import Database
from tidemill.errors import ConfigurationError
from tidemill.schema import migrate
from tidemill.settings import Settings
from tidemill_cli.local import installs
from tidemill_cli.local.account import account_for
from tidemill_cli.local.postgres import EmbeddedPostgres

URL_VARIABLE = "TIDEMILL_TEST_DATABASE_URL"
BIN_VARIABLE = "TIDEMILL_TEST_PG_BIN"


class Server:
    """A server that tests may fill with databases. `url` is a superuser's, of any database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._names = (f"t{os.getpid()}_{secrets.token_hex(2)}_{n}" for n in itertools.count())
        self._admin = psycopg.connect(url, autocommit=True)
        self._template = ""
        self._made_on = date.min

    def close(self) -> None:
        if self._template:
            self.drop(self._template)
        self._admin.close()

    def database(self, *, template: str = "template1") -> str:
        """Create a database, return its name."""
        name = next(self._names)
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        return name

    def migrated(self) -> str:
        """Create a database with the schema in it, return its name."""
        today = datetime.now(UTC).date()
        if not self._template or self._made_on != today:  # its partitions are those of a day
            name = self.database()
            asyncio.run(_migrate(self.url_of(name)))
            self._template, self._made_on = name, today
        return self.database(template=self._template)

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def url_of(self, name: str) -> str:
        """Return the address of a database on this server."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def cut(self, name: str) -> int:
        """End all sessions of a database from the server's side, return how many there were."""
        found = self._admin.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s",
            [name],
        ).fetchone()
        return int(found[0]) if found else 0

    def sessions(self, name: str) -> int:
        """Return how many sessions a database has; one that was closed may take a moment to go."""
        found = self._admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name]
        ).fetchone()
        return int(found[0]) if found else 0

    def _run(self, statement: LiteralString, *names: str) -> None:
        self._admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def settings_of(url: str, **overrides: object) -> Settings:
    """Return settings that suit a test: that database, short waits."""
    return Settings.load({}, database_url=url, database_wait_seconds=5, **overrides)


def missing() -> str | None:
    """Return why no server can be had here, or None."""
    if os.environ.get(URL_VARIABLE) or os.environ.get(BIN_VARIABLE):
        return None
    if any(installs.installs()):
        return None
    return f"no Postgres server found; install one or set {URL_VARIABLE} or {BIN_VARIABLE}"


@contextmanager
def session_server() -> Generator[Server]:
    """Yield the server of a test session."""
    if url := os.environ.get(URL_VARIABLE):
        yield from _closing(Server(url))
    else:
        with private_server() as own:
            yield from _closing(Server(own.url("postgres")))


@contextmanager
def private_server(
    major: int | None = None, *, install: installs.Install | None = None, **options: str
) -> Generator[EmbeddedPostgres]:
    """Yield a started server that is the caller's alone: to stop, crash and start again.

    `major` asks for that version, `install` for these programs; else TIDEMILL_TEST_PG_BIN's, or
    the best one found.
    """
    folder = Path(tempfile.mkdtemp(prefix="tidemill-test-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(
        folder,
        install=install or (_of_version(folder, major) if major else _asked_install()),
        throwaway=True,
        options={"max_connections": "300", **options},
    )
    try:
        with server:
            yield server
    finally:
        shutil.rmtree(folder)


def _of_version(folder: Path, major: int) -> installs.Install:
    return installs.choose(account_for(folder), major=major)


def _asked_install() -> installs.Install | None:
    folder = os.environ.get(BIN_VARIABLE)
    if not folder:
        return None
    if install := installs.read(Path(folder), BIN_VARIABLE):
        return install
    raise ConfigurationError(f"{BIN_VARIABLE}: no Postgres server's programs in {folder}")


def _closing(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.close()


async def _migrate(url: str) -> None:
    db = Database.of(settings_of(url), application="tests")
    try:
        await migrate(db)
    finally:
        await db.close()
