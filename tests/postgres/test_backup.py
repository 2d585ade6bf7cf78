"""docs/operations.md, backup and restore: what was dumped is there, and work goes on."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from tests.support import postgres
from tidemill.db import Database
from tidemill.models import NewTask
from tidemill.store import Store
from tidemill_cli.local.postgres import EmbeddedPostgres

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def command(name: str) -> list[str]:
    """Return the options that the page gives to a program, without user and database."""
    said = re.search(rf"-- {name} (.*?)(?: [<>] .*)?$", PAGE.read_text(), re.MULTILINE)
    assert said, name
    options = re.sub(r"-U postgres|-d tidemill|(?<= )tidemill$", "", said[1])
    return options.split()


async def enqueue(url: str, count: int) -> None:
    db = Database.of(postgres.settings_of(url), application="tests")
    try:
        await Store.of(db).tasks.enqueue([NewTask(type="t") for _ in range(count)])
    finally:
        await db.close()


async def asked(url: str, query: LiteralString) -> Any:
    """Return the one value that a query gives."""
    connection = await psycopg.AsyncConnection.connect(url)
    async with connection:
        row = await (await connection.execute(query)).fetchone()
    return row and row[0]


@pytest.fixture
def own_server(private_server: EmbeddedPostgres) -> Iterator[postgres.Server]:
    """A server whose programs are at hand: pg_dump must not be older than it."""
    server = postgres.Server(private_server.url("postgres"))
    yield server
    server.close()


async def test_a_restored_database_has_its_tasks_and_rights_and_goes_on(
    private_server: EmbeddedPostgres, own_server: postgres.Server
) -> None:
    """The target holds a schema of its own, as every release's database does."""

    def run(name: str, *more: str, given: bytes = b"") -> bytes:
        assert private_server.install is not None
        argv = [private_server.install.program(name), *command(name), *more]
        done = subprocess.run(argv, input=given, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    source = own_server.url_of(await asyncio.to_thread(own_server.migrated))
    target = own_server.url_of(await asyncio.to_thread(own_server.migrated))
    await enqueue(source, 3)
    await enqueue(target, 5)
    dump = await asyncio.to_thread(run, "pg_dump", source)
    async with await psycopg.AsyncConnection.connect(target, autocommit=True) as admin:
        await admin.execute("DROP SCHEMA IF EXISTS tidemill CASCADE")
    await asyncio.to_thread(run, "pg_restore", "-d", target, given=dump)
    assert await asked(target, "SELECT count(*) FROM tidemill.tasks") == 3
    assert await asked(target, "SELECT has_schema_privilege('tidemill_app', 'tidemill', 'USAGE')")
    owner = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'tidemill'"
    assert await asked(target, owner) == "tidemill_owner"
    await enqueue(target, 1)
    assert await asked(target, "SELECT count(*) FROM tidemill.ready") == 4
