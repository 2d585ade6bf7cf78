"""An API server without nodes for the operator's tests, and the operator as a process."""

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.control_plane import (
    ControlPlane,
    Operator,
    control_plane,
    define,
    missing,
    operator_account,
)
from tests.support.postgres import settings_of
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill_cli.local.postgres import EmbeddedPostgres

# Building the programs may be part of the first test's set-up.
SLOWEST_SECONDS = 1800
KUBECONFIG_VARIABLE = "TIDEMILL_TEST_CONTROL_PLANE"

Start = Callable[..., Operator]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SLOWEST_SECONDS))


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server with the CRD: of one's own, or the one that the variable names."""
    if kubeconfig := os.environ.get(KUBECONFIG_VARIABLE):
        found = ControlPlane(Path(kubeconfig))
        define(found)
        yield found
        return
    if reason := missing():
        pytest.skip(reason)
    with control_plane(tmp_path_factory.mktemp("control-plane")) as started:
        yield started


@pytest.fixture(scope="session")
def account(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig with the operator's documented rights and no more."""
    return operator_account(plane, tmp_path_factory.mktemp("account"))


@pytest.fixture
def clean(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The API server, without TaskQueues, Deployments and Secrets of ours after the test."""
    yield plane
    plane.run("delete", "taskqueues,deployments", "--all", "--timeout=120s")
    plane.run("delete", "secret", "tidemill-database", "--ignore-not-found")


@pytest.fixture
def start_operator(
    clean: ControlPlane,  # noqa: ARG001  cleaned up after the operator has ended
    account: Path,
    database_url: str,
    tmp_path: Path,
) -> Iterator[Start]:
    """Return a function that starts an operator; all share one Lease, and end with the test."""
    started: list[Operator] = []
    lease = f"operator-{uuid.uuid4().hex[:8]}"

    def start(url: str = database_url, **settings: str) -> Operator:
        log = tmp_path / f"operator-{len(started)}.log"
        settings = {"TIDEMILL_OPERATOR_LEASE": lease, **settings}
        started.append(Operator(account, url, log, **settings))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.kill()
        print(each.said())  # noqa: T201  pytest shows it with a failure


@pytest.fixture
def operator(start_operator: Start) -> Operator:
    """A running operator on this test's database."""
    return start_operator()


@pytest.fixture
def migrated(private_server: EmbeddedPostgres) -> str:
    """A database with the schema on a server that the test may stop."""
    url = private_server.url("postgres")
    asyncio.run(_migrate(url))
    return url


async def _migrate(url: str) -> None:
    database = Database.of(settings_of(url), application="tests")
    try:
        await migrate(database)
    finally:
        await database.close()
