"""Another scaler of the same Deployment is found by who wrote its replicas, and told a while."""

from typing import Any

from tests.support.decisions import NOW
from tidemill_operator.kube import FIELD_MANAGER
from tidemill_operator.rivals import TOLD_SECONDS, Rivals


def deployment(replicas: int, *managers: str, uid: str = "u") -> dict[str, Any]:
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    entries = [
        {"manager": each, "time": f"2027-01-15T08:00:0{place}Z", "fieldsV1": fields}
        for place, each in enumerate(managers)
    ]
    entries.append({"manager": "kubectl", "fieldsV1": {"f:spec": {"f:template": {}}}})
    return {
        "metadata": {"uid": uid, "name": "mine", "managedFields": entries},
        "spec": {"replicas": replicas},
    }


def test_replicas_that_somebody_else_set_are_told_with_the_name_and_for_a_while() -> None:
    rivals = Rivals()
    rivals.saw(deployment(3, "helm"), NOW)
    rivals.wrote(5)
    assert rivals.message(NOW) is None
    rivals.saw(deployment(2, FIELD_MANAGER, "keda"), NOW + 1)
    message = rivals.message(NOW + 2)
    assert message is not None
    assert message.startswith(
        "keda set the replicas of Deployment mine from 5 to 2 at 2027-01-15T08:00:01Z: "
    )
    rivals.wrote(5)
    rivals.saw(deployment(5, FIELD_MANAGER), NOW + 3)
    assert rivals.message(NOW + TOLD_SECONDS) == message
    assert rivals.message(NOW + TOLD_SECONDS + 2) is None


def test_of_several_the_last_to_write_is_named() -> None:
    rivals = Rivals()
    rivals.saw(deployment(3, FIELD_MANAGER), NOW)
    rivals.saw(deployment(4, "helm", "kube-controller-manager"), NOW)
    assert str(rivals.message(NOW)).startswith("kube-controller-manager set")


def test_our_own_writes_and_a_new_deployment_are_no_conflict() -> None:
    rivals = Rivals()
    rivals.saw(deployment(3, "helm"), NOW)
    rivals.wrote(4)
    rivals.saw(deployment(4, FIELD_MANAGER), NOW)
    rivals.saw(deployment(6, FIELD_MANAGER), NOW)  # a write whose answer was lost
    rivals.saw(deployment(1, "helm", uid="made anew"), NOW)
    assert rivals.message(NOW) is None
