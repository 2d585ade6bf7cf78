"""A real cluster with the chart installed, through pytest-kind's options.

Given `--kubeconfig`, the tests attach to that cluster. Otherwise the one of `make cluster-up` is
taken, and started and removed again where it is not up.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_kind import KindCluster

from deploy import cluster as clusters
from deploy import image, release
from deploy.cluster import Cluster
from deploy.errors import DeployError
from deploy.progress import timed
from tests.support.kube import Kube
from tests.support.tasks_api import TasksApi

NAMESPACE = "tidemill-e2e"
# Building programs and images may be part of the first test's set-up.
SLOWEST_SECONDS = 2700


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "installed" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(SLOWEST_SECONDS))


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The cluster of this machine, up."""
    try:
        found = clusters.choose()
        found.check()
    except DeployError as error:
        pytest.skip(str(error))
    if pytestconfig.option.kubeconfig is not None:
        yield found
        return
    # Asked now: `attached` sets the option, so that pytest-kind leaves the removal to us.
    keep = found.is_up() or pytestconfig.option.keep_cluster
    found.up(timed())
    yield found
    if not keep:
        found.down(timed())


@pytest.fixture(scope="session")
def attached(
    target: Cluster, pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> KindCluster:
    """pytest-kind's cluster. Its options are filled in, so that it makes and removes nothing."""
    option = pytestconfig.option
    if option.kubeconfig is None:
        option.cluster_name = target.name
        option.kubeconfig = str(target.kubeconfig)
        option.keep_cluster = True
    option.kind_bin = option.kind_bin or target.kind_program
    option.kind_kubectl_bin = option.kind_kubectl_bin or target.kubectl()
    found: KindCluster = request.getfixturevalue("kind_cluster")
    found.kubectl_path = Path(option.kind_kubectl_bin)
    return found


@pytest.fixture(scope="session")
def kube(target: Cluster, attached: KindCluster) -> Kube:
    """A namespace that enforces the restricted Pod Security Standard."""
    release.make_namespace(target, NAMESPACE)
    return Kube(attached, NAMESPACE)


@pytest.fixture(scope="session")
def own_image(target: Cluster) -> str:
    """The image of these sources, in the cluster."""
    name = image.reference()
    target.bring_images(name, timed())
    return name


@pytest.fixture(scope="session")
def installed(target: Cluster, kube: Kube, own_image: str) -> Iterator[None]:
    """The chart with its defaults, as `helm install` leaves it."""
    others = {
        each["metadata"]["namespace"]
        for each in kube.get(
            "deployments", "--all-namespaces", "-l", "app.kubernetes.io/part-of=tidemill"
        )
    } - {NAMESPACE}
    assert not others, f"Tidemill runs in {others} of this cluster already: `make k8s-down` first"
    try:
        release.install(target, own_image, namespace=NAMESPACE)
    except DeployError as error:
        seen = kube.run("get", "pods,events", "--sort-by=.metadata.creationTimestamp")
        pytest.fail(f"{error}\n{seen}")
    yield
    kube.run("delete", "namespace", NAMESPACE, "--timeout=180s")


@pytest.fixture(scope="session")
def api(installed: None, kube: Kube) -> Iterator[TasksApi]:  # noqa: ARG001  # order only
    """The API of the release, behind a port-forward that is renewed when its pod goes."""
    with ExitStack() as stack:
        address = ""

        def renew() -> None:
            nonlocal address
            stack.close()
            address = stack.enter_context(kube.forward("service/tidemill-api", 8080))

        renew()
        yield TasksApi(lambda: address, renew)
