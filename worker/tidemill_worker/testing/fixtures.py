"""pytest fixtures: a migrated database for each test.

In your `conftest.py`:

    from tidemill_worker.testing.fixtures import tidemill_databases, tidemill_database_url

They are plain functions, so any asyncio plugin and mode will do.
"""

import os
from collections.abc import Iterator

import pytest

from tidemill_worker.testing.databases import Databases

VARIABLE = "TIDEMILL_TEST_DATABASE_URL"


@pytest.fixture(scope="session")
def tidemill_databases() -> Iterator[Databases]:
    """Return what makes databases on the server that TIDEMILL_TEST_DATABASE_URL names."""
    url = os.environ.get(VARIABLE)
    if not url:
        pytest.fail(
            f"{VARIABLE} must be set: the address of any database on a Postgres server where the "
            "login may create databases, such as postgresql://postgres:secret@localhost/postgres",
            pytrace=False,
        )
    with Databases(url) as databases:
        yield databases


@pytest.fixture
def tidemill_database_url(tidemill_databases: Databases) -> Iterator[str]:
    """Return the address of this test's own database, migrated and empty."""
    url = tidemill_databases.new()
    yield url
    tidemill_databases.drop(url)
