"""Fixtures and rules for all groups of tests: see CONTRIBUTING.md, "Tests"."""

import os
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from tests.support import postgres
from tidemill.db import Database
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.local.postgres import EmbeddedPostgres

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

GROUPS = {
    "unit": "needs nothing but Python",
    "postgres": "needs a Postgres server",
    "contract": "starts Tidemill's processes and speaks HTTP with them; needs Postgres",
    "cluster": "needs a Kubernetes API",
    "chaos": "kills processes and servers; needs Postgres",
    "browser": "needs a browser",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        default=os.environ.get("CI") == "true",
        help="a skipped test is a failed test; the default where CI=true",
    )


def pytest_configure(config: pytest.Config) -> None:
    # a machine that is slow for a moment says nothing of an example
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile(
        "tests", hypothesis.settings(), deadline=None, suppress_health_check=slow
    )
    hypothesis.settings.load_profile("tests")
    for name, needs in GROUPS.items():
        config.addinivalue_line("markers", f"{name}: {needs}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker of the folder it lives in."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            group = item.path.relative_to(here).parts[0]
            if group in GROUPS:
                item.add_marker(group)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _refused(report, item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _refused(report, collector.config)


def _refused(report: Report, config: pytest.Config) -> Report:
    """Turn a skip into a failure where skips are refused; an expected failure is no skip."""
    if report.skipped and not hasattr(report, "wasxfail") and config.getoption("--no-skips"):
        where = report.longrepr
        reason = where[2] if isinstance(where, tuple) else where
        report.outcome = "failed"
        report.longrepr = f"skips are refused here: {reason}"
    return report


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """The session's server; for tests that need more than one database, or to cut sessions."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.session_server() as running:
        yield running


@pytest.fixture
def empty_database_url(server: postgres.Server) -> Iterator[str]:
    """A database without the schema."""
    name = server.database()
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture
def database_url(server: postgres.Server) -> Iterator[str]:
    """This test's own database, migrated."""
    name = server.migrated()
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings that name this test's database."""
    return postgres.settings_of(database_url)


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    """A pool on this test's database."""
    database = Database.of(settings, application="tests")
    yield database
    await database.close()


@pytest.fixture
def store(db: Database) -> Store:
    """The store on this test's database."""
    return Store.of(db)


@pytest.fixture
def private_server() -> Iterator[EmbeddedPostgres]:
    """A started server that this test may stop, crash and start again; no schema in it."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.private_server() as running:
        yield running


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the account that runs Postgres for root can enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="tidemill-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
