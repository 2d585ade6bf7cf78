"""Fixtures of the unit tests."""

import logging
from collections.abc import Iterator

import pytest

from tests.support.chart import Chart, find_helm

# In CI the first test may have to build Helm.
HELM_BUILD_SECONDS = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chart" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(HELM_BUILD_SECONDS))


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards: commands that run here set it up as in a process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(params=["helm", "helm3"])
def chart(request: pytest.FixtureRequest) -> Chart:
    """The chart, rendered by Helm 4 and by Helm 3."""
    helm = find_helm(request.param)
    if helm is None:
        pytest.skip(f"no {request.param}: `python3 -m testbed which {request.param}` builds one")
    return Chart(helm)
