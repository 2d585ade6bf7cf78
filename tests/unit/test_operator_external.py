"""external.metrics.k8s.io as values: selectors, quantities, whom to believe."""

import pytest

from tests.support.control_plane import task_queue
from tidemill.errors import ConfigurationError
from tidemill_operator.external.documents import BadSelector, matches, quantity
from tidemill_operator.external.figures import METRICS
from tidemill_operator.external.frontproxy import Client, FrontProxy
from tidemill_operator.need import Reading

CONFIG = {
    "data": {
        "requestheader-client-ca-file": "-----BEGIN CERTIFICATE-----",
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        "requestheader-uid-headers": '["X-Remote-Uid"]',
    }
}
SUBJECT = ((("organizationName", "k8s"),), (("commonName", "front-proxy-client"),))


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("", True),
        ("queue=a", True),
        ("queue==a", True),
        ("queue=b", False),
        ("queue!=b,taskqueue=t", True),
        ("queue in (a, b)", True),
        ("queue notin (a),taskqueue", False),
        ("queue", True),
        ("!queue", False),
        ("!other", True),
        ("other!=x", True),
    ],
)
def test_a_label_selector_chooses_as_kubernetes_does(selector: str, *, chosen: bool) -> None:
    assert matches(selector, {"queue": "a", "taskqueue": "t"}) is chosen


@pytest.mark.parametrize("selector", ["a b", "queue in (a", "queue=b,a b", "=x"])
def test_a_selector_that_cannot_be_read_is_told(selector: str) -> None:
    with pytest.raises(BadSelector, match="cannot be read"):
        matches(selector, {"queue": "a"})


def test_a_quantity_is_whole_or_in_thousandths() -> None:
    assert [quantity(each) for each in (0, 7000, 1500, 1)] == ["0", "7", "1500m", "1m"]


def test_a_certificate_of_another_name_or_none_is_not_believed() -> None:
    proxy = FrontProxy.of(CONFIG)
    assert proxy.trusts({"subject": SUBJECT})
    assert not proxy.trusts({"subject": ((("commonName", "admin"),),)})
    assert not proxy.trusts({})
    assert not proxy.trusts(None)
    anyone = FrontProxy.of({"data": CONFIG["data"] | {"requestheader-allowed-names": "[]"}})
    assert anyone.trusts({"subject": ((("commonName", "whoever"),),)})


def test_the_client_is_whom_the_headers_name() -> None:
    headers = [
        ("x-remote-user", "jane"),
        ("X-Remote-Group", "dev"),
        ("X-Remote-Group", "ops"),
        ("X-Remote-Extra-Acme.com%2Fproject", "p"),
        ("X-Remote-Uid", "7"),
    ]
    expected = Client("jane", ("dev", "ops"), "7", {"acme.com/project": ("p",)})
    assert FrontProxy.of(CONFIG).client(headers) == expected
    assert FrontProxy.of(CONFIG).client([("X-Remote-Group", "system:masters")]) is None


@pytest.mark.parametrize("data", [{}, {"requestheader-client-ca-file": " "}, None])
def test_a_cluster_without_a_front_proxy_is_told(data: dict[str, str] | None) -> None:
    with pytest.raises(ConfigurationError, match="requestheader-client-ca-file"):
        FrontProxy.of({"data": data})


def test_desired_workers_are_what_the_rules_call_for_within_the_bounds() -> None:
    desired = METRICS["tidemill_queue_desired_workers"]
    body = task_queue("q", {"scaling": {"maxReplicas": 4, "tasksPerReplica": 5}, "replicas": 3})
    assert desired(body, Reading(queued=11, running=0)) == 3
    assert desired(body, Reading(queued=100, running=0)) == 4
    assert desired(body, Reading(queued=0, running=0)) == 0
    assert desired(body, Reading(queued=0, running=1)) == 1
