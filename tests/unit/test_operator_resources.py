"""The workers' Deployment as it is built from a TaskQueue."""

from typing import Any

import pytest

from tidemill_operator import resources
from tidemill_operator.resources import WorkerDefaults

DEFAULTS = WorkerDefaults(image="localhost/tidemill:1", app="examples.demo:app")


def built(worker: dict[str, Any], *, with_ca: bool = False, **spec: Any) -> dict[str, Any]:
    task_queue = {
        "metadata": {"name": "mails", "namespace": "shop", "uid": "u-1"},
        "spec": {"worker": worker, **spec},
    }
    defaults = WorkerDefaults(image=DEFAULTS.image, app=DEFAULTS.app, with_ca=with_ca)
    return resources.deployment(task_queue, defaults)


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


def container_of(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(deployment)["containers"]
    assert isinstance(container, dict)
    return container


def values_of(deployment: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container_of(deployment)["env"]}


def test_it_belongs_to_its_task_queue_and_is_found_by_labels() -> None:
    deployment = built({})
    meta = deployment["metadata"]
    assert (meta["name"], meta["namespace"]) == ("mails-worker", "shop")
    (owner,) = meta["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("TaskQueue", "u-1", True)
    assert owner["blockOwnerDeletion"] is False  # needs no right on finalizers
    assert meta["labels"]["app.kubernetes.io/managed-by"] == "tidemill-operator"
    selected = deployment["spec"]["selector"]["matchLabels"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert selected.items() <= labels.items()


def test_replicas_are_left_to_the_scaler_unless_given() -> None:
    assert "replicas" not in built({})["spec"]
    task_queue = {"metadata": {"name": "q", "namespace": "n", "uid": "u"}, "spec": {"worker": {}}}
    assert resources.deployment(task_queue, DEFAULTS, replicas=0)["spec"]["replicas"] == 0


def test_the_worker_gets_its_settings_by_environment() -> None:
    deployment = built({"concurrency": 7, "drainSeconds": 12, "app": "shop.tasks:app"}, queue="low")
    values = values_of(deployment)
    assert values["TIDEMILL_APP"] == "shop.tasks:app"
    assert values["TIDEMILL_QUEUES"] == "low"
    assert values["TIDEMILL_CONCURRENCY"] == "7"
    assert values["TIDEMILL_DRAIN_SECONDS"] == "12"
    by_name = {each["name"]: each.get("valueFrom") for each in container_of(deployment)["env"]}
    assert by_name["TIDEMILL_DATABASE_URL"] == {
        "secretKeyRef": {"name": "tidemill-database", "key": "url"}
    }
    assert by_name["TIDEMILL_POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert container_of(deployment)["args"] == ["worker"]


def test_the_databases_secret_may_say_how_its_address_is_to_be_used() -> None:
    container = container_of(built({"databaseSecretRef": {"name": "db"}}))
    sources = {each["name"]: each.get("valueFrom") for each in container["env"]}
    for variable, key in {"DIRECT_URL": "direct-url", "POOLER": "pooler"}.items():
        assert sources[f"TIDEMILL_DATABASE_{variable}"] == {
            "secretKeyRef": {"name": "db", "key": key, "optional": True}
        }


def test_every_variable_that_the_operator_sets_is_one_of_the_settings() -> None:
    from tidemill.settings import Settings  # noqa: PLC0415  only this test needs it

    values = values_of(built({}, with_ca=True))
    Settings.load({name: value for name, value in values.items() if value})
    fields = set(Settings.__dataclass_fields__)
    assert {name.removeprefix("TIDEMILL_").lower() for name in values} <= fields


def test_defaults_and_a_queue_named_like_the_resource() -> None:
    deployment = built({})
    assert container_of(deployment)["image"] == DEFAULTS.image
    values = values_of(deployment)
    assert (values["TIDEMILL_APP"], values["TIDEMILL_QUEUES"]) == (DEFAULTS.app, "mails")
    assert "imagePullPolicy" not in container_of(deployment)


def test_the_pod_may_drain_and_shows_it_within_a_second() -> None:
    deployment = built({"drainSeconds": 45})
    assert pod_of(deployment)["terminationGracePeriodSeconds"] == 55
    readiness = container_of(deployment)["readinessProbe"]
    assert (readiness["periodSeconds"], readiness["failureThreshold"]) == (1, 1)
    assert readiness["httpGet"] == {"path": "/readyz", "port": "probes"}


def test_the_pod_is_restricted_with_a_read_only_root() -> None:
    deployment = built({"pod": {"securityContext": {"runAsUser": 1234}}})
    pod, container = pod_of(deployment), container_of(deployment)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1234,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]  # noqa: S108  the emptyDir
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_a_ca_certificate_is_mounted_where_the_secret_has_one() -> None:
    deployment = built({"databaseSecretRef": {"name": "db"}}, with_ca=True)
    assert values_of(deployment)["TIDEMILL_DATABASE_CA_FILE"] == "/etc/tidemill/database/ca.crt"
    (volume,) = [each for each in pod_of(deployment)["volumes"] if each["name"] == "database-ca"]
    assert volume["secret"]["secretName"] == "db"
    assert "TIDEMILL_DATABASE_CA_FILE" not in values_of(built({}))


@pytest.mark.parametrize("field", resources.POD_FIELDS)
def test_pod_overrides_are_taken_over(field: str) -> None:
    assert pod_of(built({"pod": {field: "given"}}))[field] == "given"


def test_overrides_add_but_never_replace_what_the_operator_selects_by() -> None:
    pod = {
        "labels": {"team": "a", "tidemill.dev/taskqueue": "other"},
        "annotations": {"a": "b"},
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "serviceAccountName": "mine",
    }
    deployment = built({"pod": pod, "env": [{"name": "A", "value": "1"}]})
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"]["tidemill.dev/taskqueue"] == "mails"
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["annotations"] == {"a": "b"}
    assert {"name": "cache", "emptyDir": {}} in template["spec"]["volumes"]
    assert template["spec"]["automountServiceAccountToken"] is True
    assert values_of(deployment)["A"] == "1"
