"""Tasks that commit or roll back with the caller's own transaction, on its own connection."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import asyncpg
import django
import psycopg
import pytest
from django.conf import settings as django_settings
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.rows import dict_row

from tests.support.ledger import balance
from tests.support.logins import login
from tidemill import App, Middleware
from tidemill.connecting import Connection
from tidemill.db import Database
from tidemill.errors import ConfigurationError, IdempotencyConflict, InvalidTask, TaskNotFound
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    made = App(settings=settings)

    @made.task(queue="emails")
    async def send(to: str) -> None: ...

    yield made
    made.sync_client.close()
    await made.client.close()


@pytest.fixture
async def asyncpg_connection(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def django_connection(database_url: str) -> Iterator[DatabaseWrapper]:
    if not django_settings.configured:
        django_settings.configure(LOGGING_CONFIG=None)
        django.setup()
    given = psycopg.conninfo.conninfo_to_dict(database_url)
    options: dict[str, Any] = {
        "NAME": given["dbname"], "HOST": given["host"], "PORT": given["port"],
        "USER": given["user"], "PASSWORD": given.get("password", ""), "OPTIONS": {},
        "AUTOCOMMIT": True, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False, "TIME_ZONE": None,
        "ATOMIC_REQUESTS": False, "TEST": {},
    }  # fmt: skip
    with closing(DatabaseWrapper(options)) as connection:
        yield connection


async def test_with_asyncpg_a_task_waits_for_the_commit(
    app: App, asyncpg_connection: Connection, store: Store
) -> None:
    async with asyncpg_connection.transaction():
        sender = app.tasks["send"].using(connection=asyncpg_connection, priority="high")
        handle = await sender.enqueue(to="a")
        assert (handle.queue, handle.status, handle.created) == ("emails", Status.QUEUED, True)
        with pytest.raises(TaskNotFound):
            await handle.task()
    assert (await handle.task()).priority == 100
    assert (await balance(store))["queued"] == 1


async def test_with_asyncpg_a_rollback_takes_the_tasks_along(
    app: App, asyncpg_connection: Connection, store: Store
) -> None:
    transaction = asyncpg_connection.transaction()
    await transaction.start()
    sender = app.tasks["send"].using(connection=asyncpg_connection)
    handles = await sender.enqueue_many([{"to": "a"}, {"to": "b"}])
    await transaction.rollback()
    with pytest.raises(TaskNotFound):
        await handles[0].task()
    assert (await balance(store))["queued"] == 0


async def test_a_pools_connection_and_codecs_of_its_own_do_no_harm(
    app: App, database_url: str, store: Store
) -> None:
    async def own_codec(connection: Connection) -> None:
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=repr, decoder=str, format="text"
        )

    async with (
        asyncpg.create_pool(database_url, min_size=1, max_size=1, init=own_codec) as pool,
        pool.acquire() as connection,
    ):
        await app.tasks["send"].using(connection=connection).enqueue(to="a")
        with pytest.raises(TypeError, match=r"must be an asyncpg connection.*got asyncpg\.pool\.P"):
            await app.tasks["send"].using(connection=pool).enqueue(to="a")
    assert (await balance(store))["queued"] == 1


async def test_with_async_psycopg_tasks_commit_and_roll_back(
    app: App, database_url: str, store: Store
) -> None:
    async with await psycopg.AsyncConnection[Any].connect(
        database_url, row_factory=dict_row
    ) as connection:
        await app.tasks["send"].using(connection=connection).enqueue(to="kept")
        await connection.commit()
        await app.tasks["send"].using(connection=connection).enqueue(to="undone")
        await connection.rollback()
    assert (await balance(store))["queued"] == 1


@pytest.mark.parametrize("rows", ["tuples", "dicts"])
def test_with_psycopg_tasks_commit_and_roll_back(app: App, database_url: str, rows: str) -> None:
    with psycopg.connect(database_url) as connection:
        if rows == "dicts":
            connection.row_factory = dict_row  # type: ignore[assignment] # as users do
        kept = app.tasks["send"].using(connection=connection).enqueue_sync(to="kept")
        connection.commit()
        undone = app.tasks["send"].using(connection=connection).enqueue_sync(to="undone")
        connection.rollback()
    assert kept.task_sync().payload == {"to": "kept"}
    with pytest.raises(TaskNotFound):
        undone.task_sync()


def test_with_django_tasks_commit_and_roll_back(
    app: App, django_connection: DatabaseWrapper
) -> None:
    sender = app.tasks["send"].using(connection=django_connection)
    django_connection.set_autocommit(False)
    kept = sender.enqueue_sync(to="kept")
    django_connection.commit()
    undone = sender.enqueue_many_sync([{"to": "undone"}])
    django_connection.rollback()
    assert kept.task_sync().status is Status.QUEUED
    with pytest.raises(TaskNotFound):
        undone[0].task_sync()


async def test_the_callers_login_needs_the_producers_role_only(
    db: Database, database_url: str, store: Store
) -> None:
    app = App(settings=Settings())  # no database of its own: nothing else is opened

    @app.task
    async def send(to: str) -> None: ...

    async with login(db, database_url, "tidemill_producer") as (_, url):
        connection = await asyncpg.connect(url)
        handle = await send.using(connection=connection).enqueue(to="a")
        await connection.close()
        with psycopg.connect(url) as blocking:
            send.using(connection=blocking).enqueue_sync(to="b")
    assert handle.created
    assert (await balance(store))["queued"] == 2
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_URL"):
        await handle.task()


async def test_refusals_of_the_database_are_our_errors_and_abort_the_transaction(
    app: App, asyncpg_connection: Connection, database_url: str, store: Store
) -> None:
    keyed = app.tasks["send"].using(connection=asyncpg_connection, idempotency_key="k")
    assert (await keyed.enqueue(to="a")).created
    assert not (await keyed.enqueue(to="a")).created
    with pytest.raises(IdempotencyConflict, match="k"):
        await keyed.enqueue(to="b")
    with psycopg.connect(database_url) as connection:
        sender = app.tasks["send"].using(connection=connection, idempotency_key="k")
        with pytest.raises(IdempotencyConflict) as refused:
            sender.enqueue_sync(to="b")
        assert "\n" not in str(refused.value)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
    assert (await balance(store))["queued"] == 1


async def test_an_invalid_task_is_refused_before_the_transaction_sees_it(
    app: App, asyncpg_connection: Connection
) -> None:
    async with asyncpg_connection.transaction():
        sender = app.tasks["send"].using(connection=asyncpg_connection, queue="no such/name")
        with pytest.raises(InvalidTask, match=r"^queue"):
            await sender.enqueue(to="a")
        assert await asyncpg_connection.fetchval("SELECT 1") == 1


async def test_a_connection_of_the_other_kind_or_of_none_is_a_clear_error(
    app: App, asyncpg_connection: Connection, database_url: str
) -> None:
    send = app.tasks["send"]
    with pytest.raises(TypeError, match=r"enqueue_sync: .*asyncpg.*for this one call enqueue"):
        send.using(connection=asyncpg_connection).enqueue_sync(to="a")
    with (
        psycopg.connect(database_url) as blocking,
        pytest.raises(TypeError, match=r"enqueue: .*for this one call enqueue_sync"),
    ):
        await send.using(connection=blocking).enqueue(to="a")
    with pytest.raises(TypeError, match=r"must be an asyncpg connection.*got builtins\.str"):
        await send.using(connection="postgresql://").enqueue(to="a")


async def test_middleware_goes_around_enqueues_in_transactions(
    settings: Settings, asyncpg_connection: Connection, store: Store
) -> None:
    class Naming(Middleware):
        def enqueue(self, tasks: Any) -> Any:
            for task in tasks:
                task.name = "named"
            return super().enqueue(tasks)

    app = App(settings=settings, middleware=[Naming()])

    @app.task
    async def send(to: str) -> None: ...

    handle = await send.using(connection=asyncpg_connection).enqueue(to="a")
    task = await store.tasks.get(handle.id)
    assert task is not None
    assert task.name == "named"
