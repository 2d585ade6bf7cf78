"""docs/external-scaling.md: what KEDA and prometheus-adapter get has their shape."""

import re
from typing import Any

import pytest

from tests.support.control_plane import ROOT
from tests.support.pages_yaml import objects, of_kind

PAGE = "external-scaling.md"
# What each trigger must have, by KEDA's reference of its scalers.
TRIGGERS = {
    "prometheus": {"serverAddress", "query", "threshold"},
    "postgresql": {"query", "targetQueryValue"},
}
SCALED = of_kind(PAGE, "ScaledObject")


def triggers() -> list[dict[str, Any]]:
    return [trigger for each in SCALED for trigger in each["spec"]["triggers"]]


def test_the_page_has_objects_for_each_way() -> None:
    kinds = [each.get("kind", "values") for each in objects(PAGE)]
    assert kinds.count("TaskQueue") >= 1
    assert {each["type"] for each in triggers()} == set(TRIGGERS)
    assert {"HorizontalPodAutoscaler", "TriggerAuthentication", "values"} <= set(kinds)


@pytest.mark.parametrize("scaled", SCALED, ids=lambda each: each["spec"]["triggers"][0]["type"])
def test_a_scaled_object_has_kedas_shape_and_targets_the_task_queue(scaled: dict[str, Any]) -> None:
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    spec = scaled["spec"]
    assert set(spec) == {
        "scaleTargetRef",
        "pollingInterval",
        "cooldownPeriod",
        "minReplicaCount",
        "maxReplicaCount",
        "triggers",
    }
    target = spec["scaleTargetRef"]
    assert (target["apiVersion"], target["kind"]) == ("tidemill.dev/v1alpha1", "TaskQueue")
    for trigger in spec["triggers"]:
        assert set(trigger["metadata"]) >= TRIGGERS[trigger["type"]]
        assert all(isinstance(each, str) for each in trigger["metadata"].values())


def test_an_authentication_that_a_trigger_names_is_there_with_its_secret() -> None:
    secrets = {each["metadata"]["name"]: each["stringData"] for each in of_kind(PAGE, "Secret")}
    known = {
        each["metadata"]["name"]: each["spec"]["secretTargetRef"]
        for each in of_kind(PAGE, "TriggerAuthentication")
    }
    named = [
        each["authenticationRef"]["name"] for each in triggers() if "authenticationRef" in each
    ]
    assert set(named) == set(known)
    for reference in known.values():
        for each in reference:
            assert each["key"] in secrets[each["name"]]


def test_queries_to_prometheus_use_metrics_that_there_are_and_no_figure_without_a_database() -> (
    None
):
    (values,) = [each for each in objects(PAGE) if "rules" in each]
    (rule,) = values["rules"]["external"]
    queries = [each["metadata"]["query"] for each in triggers() if each["type"] == "prometheus"]
    known = (ROOT / "docs" / "observability.md").read_text()
    for query in [*queries, rule["metricsQuery"], rule["seriesQuery"]]:
        for metric in re.findall(r"tidemill_\w+", query):
            assert f"| `{metric}` |" in known, metric
    for query in [*queries, rule["metricsQuery"]]:
        assert query.rstrip(") ").endswith("tidemill_database_up == 1")
    (hpa,) = of_kind(PAGE, "HorizontalPodAutoscaler")[:1]
    assert hpa["spec"]["metrics"][0]["external"]["metric"]["name"] == rule["name"]["as"]
    nulls = [each["metadata"].get("ignoreNullValues") for each in triggers()]
    assert nulls.count("false") == len(queries)
