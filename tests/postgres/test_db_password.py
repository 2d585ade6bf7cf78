"""The password in a file of its own, as a Secret is mounted: read again at each new connection."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.support import postgres
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Server
from tests.support.worker import eventually, finished
from tidemill import App, NewTask
from tidemill.db import Database, wait_for_database
from tidemill.errors import ConfigurationError, DatabaseRefused
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_worker import Worker

pytestmark = pytest.mark.timeout(600)  # the first of them may have to install it

LOGIN = "tidemill_password_test"


@dataclass
class Secret:
    """A login whose password is in a file, and nowhere in the address."""

    url: str
    file: Path
    admin: psycopg.Connection

    def change(self, password: str, *, in_file: bool = True) -> None:
        text = sql.SQL("ALTER ROLE {} PASSWORD {}")
        self.admin.execute(text.format(sql.Identifier(LOGIN), sql.Literal(password)))
        if in_file:
            self.file.write_text(f"{password}\n")

    def settings(self) -> Settings:
        return postgres.settings_of(self.url, database_password_file=str(self.file))


@pytest.fixture
def secret(server: Server, tmp_path: Path) -> Iterator[Secret]:
    name = sql.Identifier(LOGIN)
    parts = urlsplit(server.url_of("postgres"))
    netloc = f"{LOGIN}@{parts.netloc.rpartition('@')[2]}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        made = Secret(urlunsplit(parts._replace(netloc=netloc)), tmp_path / "password", admin)
        made.change("first: p@ss/word %41")
        yield made
        admin.execute(sql.SQL("DROP ROLE {}").format(name))


async def test_a_changed_password_is_used_by_new_connections_while_the_pool_lives(
    secret: Secret,
) -> None:
    db = Database.of(secret.settings(), application="tests")
    async with db.session() as old:
        assert await old.fetchval("SELECT current_user") == LOGIN
        secret.change("second", in_file=False)
        with pytest.raises(DatabaseRefused, match="password authentication failed"):
            await db.fetchval("SELECT 1")
        secret.change("second")
        assert await db.fetchval("SELECT current_user") == LOGIN
        assert await old.fetchval("SELECT current_user") == LOGIN
    await db.close()


async def test_a_worker_lives_through_a_rotation_that_reaches_its_file_late(
    secret: Secret, server: Server, database_url: str, store: Store
) -> None:
    app, runs = App(), list[int]()

    @app.task
    async def note(n: int) -> None:
        runs.append(n)

    secret.admin.execute(f"GRANT tidemill_app TO {LOGIN}")
    name = urlsplit(database_url).path
    secret.url = urlunsplit(urlsplit(secret.url)._replace(path=name))
    settings = replace(secret.settings(), heartbeat_seconds=0.3)
    async with Worker(app, settings=settings) as worker:
        await store.tasks.enqueue([NewTask(type="note", payload={"n": 1})])
        await eventually(lambda: runs == [1])
        secret.change("second", in_file=False)
        await asyncio.to_thread(server.cut, name.lstrip("/"))
        await eventually(lambda: not worker.claiming)  # it is refused, and goes on trying
        secret.change("second")
        await eventually(lambda: worker.claiming, seconds=60)
        store = Store.of(Database.of(postgres.settings_of(database_url), application="tests"))
        (made,) = await store.tasks.enqueue([NewTask(type="note", payload={"n": 2})])
        await finished(store, made.id)
        await store.db.close()
    assert runs == [1, 2]


async def test_the_file_comes_before_a_password_in_the_address(secret: Secret) -> None:
    secret.url = secret.url.replace("@", ":wrong@")
    db = Database.of(secret.settings(), application="tests")
    assert await db.fetchval("SELECT current_user") == LOGIN
    await db.close()


async def test_it_works_through_a_pooler(server: Server, tmp_path: Path) -> None:
    parts = urlsplit(server.url)
    file = tmp_path / "password"
    file.write_text(parts.password or "")
    with pgbouncer(server.url) as bouncer:
        url = bouncer.url("postgres").replace(f":{parts.password}@", "@")
        settings = postgres.settings_of(
            url, database_password_file=str(file), database_pooler="transaction"
        )
        db = Database.of(settings, application="tests")
        assert await db.fetchval("SELECT 1") == 1
        await db.close()


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory"), (b"\n", "it is empty"), (b"\xff\xfe", "it is not text")],
)
async def test_a_file_that_is_none_is_one_clear_line(
    secret: Secret, content: bytes | None, why: str
) -> None:
    db = Database.of(secret.settings(), application="tests")
    await db.fetchval("SELECT 1")
    if content is None:
        secret.file.unlink()
    else:
        secret.file.write_bytes(content)
    told = f"TIDEMILL_DATABASE_PASSWORD_FILE must be a readable file .*{secret.file.name}.*: {why}"
    with pytest.raises(ConfigurationError, match=told) as caught:
        Database.of(secret.settings(), application="tests")
    assert "\n" not in str(caught.value)
    async with db.session():  # the first connection is taken, so another one is made
        with pytest.raises(ConfigurationError, match=told):
            await wait_for_database(db, 60)
    await db.close()


def test_what_is_shown_names_the_file_and_never_what_is_in_it(secret: Secret) -> None:
    shown = secret.settings().shown()
    assert shown["database_password_file"] == str(secret.file)
    assert "p@ss" not in str(shown)
