"""An API server that fails: the operator holds, says so, asks less often, and goes on after."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_proxy import ApiProxy, Fault, proxied
from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.scaling import QUICK, empty, enqueue
from tests.support.waiting import until

PATIENCE = 120.0
FAULT_SECONDS = 8.0
MOST_PER_SECOND = 12
"""Of all requests together: its own, those for the Lease (two a second at most), kopf's watches."""

EVERYTHING_FAILS = {
    "too many requests, come back later": Fault(429, (("Retry-After", "3"),)),
    "an error for everything": Fault(500),
    "not available": Fault(503),
    "silence": Fault(0),
}


@pytest.fixture
def proxy(
    clean: ControlPlane,  # noqa: ARG001  cleaned up after the operator has ended
    account: Path,
    tmp_path: Path,
) -> Iterator[tuple[ApiProxy, Path]]:
    with proxied(account, tmp_path) as found:
        yield found


@pytest.fixture
def operator_behind(
    proxy: tuple[ApiProxy, Path], database_url: str, tmp_path: Path
) -> Iterator[Operator]:
    operator = Operator(proxy[1], database_url, tmp_path / "operator.log")
    operator.start()
    yield operator
    operator.kill()
    print(operator.said())  # noqa: T201  pytest shows it with a failure


def scaled_to(plane: ControlPlane, replicas: int) -> None:
    until(lambda: plane.replicas("held") == replicas, seconds=PATIENCE, what=f"{replicas} replicas")


@pytest.mark.parametrize("fault", EVERYTHING_FAILS.values(), ids=EVERYTHING_FAILS.keys())
def test_while_the_api_server_fails_it_holds_and_asks_less_and_then_goes_on(
    clean: ControlPlane,
    proxy: tuple[ApiProxy, Path],
    operator_behind: Operator,
    database_url: str,
    fault: Fault,
) -> None:
    clean.apply(plain_deployment("held", replicas=0))
    clean.apply(task_queue("held", {"scaleTargetRef": {"name": "held"}, "scaling": QUICK}))
    enqueue(database_url, "held", 5)
    scaled_to(clean, 1)

    proxy[0].fails(fault)
    enqueue(database_url, "held", 10)
    time.sleep(FAULT_SECONDS)
    assert clean.replicas("held") == 1
    assert operator_behind.probe("/healthz")
    met = proxy[0].heals()
    assert 1 <= met <= FAULT_SECONDS * MOST_PER_SECOND, proxy[0].met

    scaled_to(clean, 3)
    empty(database_url, "held")
    scaled_to(clean, 0)
    assert "Traceback" not in operator_behind.said()


def test_one_deployment_that_cannot_be_written_holds_up_no_other(
    clean: ControlPlane, proxy: tuple[ApiProxy, Path], operator_behind: Operator, database_url: str
) -> None:
    for name in ("held", "other"):
        clean.apply(plain_deployment(name, replicas=0))
        clean.apply(task_queue(name, {"scaleTargetRef": {"name": name}, "scaling": QUICK}))
    until(lambda: clean.status("other") and clean.status("held"), seconds=PATIENCE, what="seen")
    proxy[0].fails(Fault(500, only=r"^PUT .*/deployments/held/scale"))
    enqueue(database_url, "held", 5)
    enqueue(database_url, "other", 5)
    until(lambda: clean.replicas("other") == 1, seconds=PATIENCE, what="the other is scaled")
    until(lambda: proxy[0].met.total() >= 2, seconds=PATIENCE, what="tried again")
    assert clean.replicas("held") == 0
    assert "fault 500" in operator_behind.said()
    proxy[0].heals()
    scaled_to(clean, 1)


def test_a_conflict_is_decided_again_on_what_is_there_now(
    clean: ControlPlane, proxy: tuple[ApiProxy, Path], operator_behind: Operator, database_url: str
) -> None:
    clean.apply(plain_deployment("held", replicas=0))
    clean.apply(task_queue("held", {"scaleTargetRef": {"name": "held"}, "scaling": QUICK}))
    until(lambda: clean.status("held"), seconds=PATIENCE, what="seen")
    proxy[0].fails(Fault(409, only=r"^PUT .*/deployments/held/scale"))
    enqueue(database_url, "held", 5)
    until(lambda: proxy[0].met.total() >= 2, seconds=PATIENCE, what="tried again")
    assert clean.replicas("held") == 0
    met = proxy[0].heals()
    assert met <= 200, proxy[0].met
    scaled_to(clean, 1)
    assert "Traceback" not in operator_behind.said()
