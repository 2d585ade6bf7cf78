"""The fixtures themselves: own databases, skips that are refused, servers that come back."""

import psycopg

from tests.support.postgres import Server
from tidemill.db import Database
from tidemill.schema import status
from tidemill_cli.local.postgres import EmbeddedPostgres


def test_databases_are_apart(server: Server) -> None:
    first, second = server.database(), server.database()
    with psycopg.connect(server.url_of(first), autocommit=True) as one:
        one.execute("CREATE TABLE mine ()")
    with psycopg.connect(server.url_of(second), autocommit=True) as two:
        found = two.execute("SELECT to_regclass('mine')").fetchone()
    server.drop(first)
    server.drop(second)
    assert found == (None,)


def test_a_private_server_keeps_its_data_and_port_over_a_crash(
    private_server: EmbeddedPostgres,
) -> None:
    url = private_server.url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    private_server.crash()
    private_server.start()
    assert private_server.url() == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


async def test_each_test_has_the_schema(db: Database) -> None:
    assert (await status(db)).fits
