"""Fixtures of the unit tests."""

import pytest

from tests.support.chart import Chart, find_helm


@pytest.fixture(params=["helm", "helm3"])
def chart(request: pytest.FixtureRequest) -> Chart:
    """The chart, rendered by Helm 4 and by Helm 3."""
    helm = find_helm(request.param)
    if helm is None:
        pytest.skip(f"no {request.param}: `python3 -m testbed which {request.param}` builds one")
    return Chart(helm)
