"""The operator and an API server that is not ready for it yet, or stops answering."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.control_plane import (
    ControlPlane,
    Operator,
    control_plane,
    define,
    plain_deployment,
    task_queue,
)
from tests.support.scaling import QUICK, enqueue
from tests.support.waiting import until

Start = Callable[..., Operator]


@pytest.fixture(scope="module")
def own_plane(
    tmp_path_factory: pytest.TempPathFactory, plane: ControlPlane
) -> Iterator[ControlPlane]:
    """An API server that this module may freeze; without the CRD."""
    del plane  # the programs are built, or the tests were skipped, by then
    with control_plane(tmp_path_factory.mktemp("frozen"), defined=False) as started:
        yield started


@pytest.fixture
def operator_there(
    own_plane: ControlPlane, database_url: str, tmp_path: Path
) -> Iterator[Operator]:
    """An operator on all namespaces of that API server."""
    operator = Operator(
        own_plane.kubeconfig,
        database_url,
        tmp_path / "operator.log",
        TIDEMILL_OPERATOR_NAMESPACES="",
    )
    operator.start()
    yield operator
    operator.kill()
    print(operator.said())  # noqa: T201  pytest shows it with a failure


def api_server_of(plane: ControlPlane) -> int:
    """Return the process id of the API server, as the test bed wrote it down."""
    record = (plane.kubeconfig.parent / "processes" / "apiserver").read_text().splitlines()
    return int(record[1].split()[0])


def test_it_waits_for_the_crd_then_serves_all_namespaces_and_outlives_a_frozen_api_server(
    own_plane: ControlPlane, operator_there: Operator, database_url: str
) -> None:
    until(
        lambda: "TaskQueues cannot be listed" in operator_there.said(),
        seconds=60,
        what="says that the CRD is missing",
    )
    assert operator_there.probe("/healthz")

    define(own_plane)
    own_plane.run("create", "namespace", "far")
    far = replace(own_plane, namespace="far")
    far.apply(plain_deployment("target", replicas=0))
    far.apply(task_queue("far", {"scaleTargetRef": {"name": "target"}, "scaling": QUICK}))
    enqueue(database_url, "far", 5)
    until(lambda: far.replicas("target") == 1, seconds=60, what="scaled in another namespace")

    server = api_server_of(own_plane)
    os.kill(server, signal.SIGSTOP)
    try:
        enqueue(database_url, "far", 10)
        until(
            lambda: "Read timed out" in operator_there.said(), seconds=60, what="a call is given up"
        )
        assert operator_there.probe("/healthz")
    finally:
        os.kill(server, signal.SIGCONT)
    until(lambda: far.replicas("target") == 3, seconds=60, what="goes on")
    assert operator_there.stop() == 0
