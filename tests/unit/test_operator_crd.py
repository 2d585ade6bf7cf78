"""The CRD's file: a structural schema, described and bounded, with the code's defaults."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemill_operator import resources
from tidemill_operator.policy import Policy

ROOT = Path(__file__).parents[2]
CRD = yaml.safe_load((ROOT / "crds/taskqueues.tidemill.dev.yaml").read_text())
EXAMPLE = yaml.safe_load((ROOT / "examples/taskqueue.yaml").read_text())
(VERSION,) = CRD["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]

KEYWORDS = {
    "type", "format", "description", "properties", "items", "required", "enum", "default",
    "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "minProperties", "maxProperties", "additionalProperties", "anyOf", "x-kubernetes-validations",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
}  # fmt: skip
BOUNDS = {
    "string": {"maxLength", "enum"},
    "integer": {"maximum"},
    "number": {"maximum"},
    "array": {"maxItems"},
}
UNOWNED = ("paused", "retry", "leaseSeconds", "timeoutSeconds", "rateLimit", "maxRunning")


def schemas(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from schemas(each, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from schemas(schema["additionalProperties"], f"{path}{{}}")


ALL = dict(schemas(SCHEMA, ""))
OF_SPEC = {path: each for path, each in ALL.items() if path.startswith(".spec")}


@pytest.mark.parametrize("path", ALL)
def test_every_key_is_a_keyword_of_a_structural_schema(path: str) -> None:
    assert set(ALL[path]) <= KEYWORDS
    assert "type" in ALL[path] or ALL[path].get("x-kubernetes-int-or-string")


@pytest.mark.parametrize("path", [path for path in OF_SPEC if not path.endswith(("[]", "{}"))])
def test_every_field_of_the_spec_is_described(path: str) -> None:
    assert re.search(r"[.;]$", OF_SPEC[path]["description"])


@pytest.mark.parametrize("path", OF_SPEC)
def test_every_field_of_the_spec_is_bounded(path: str) -> None:
    schema = OF_SPEC[path]
    wanted = BOUNDS.get(schema.get("type", "string"), set())
    assert not wanted or wanted & set(schema)


def test_seconds_are_whole_numbers() -> None:
    for path, schema in OF_SPEC.items():
        if path.endswith("Seconds") or path == ".spec.rateLimit.seconds":
            kind = schema["items"]["type"] if schema["type"] == "array" else schema["type"]
            assert kind == "integer", path


def test_defaults_are_those_of_the_code() -> None:
    scaling = {
        name: each.get("default")
        for name, each in SPEC["properties"]["scaling"]["properties"].items()
    }
    for name in ("scaleUp", "scaleDown"):
        window = ALL[f".spec.scaling.{name}.stabilizationWindowSeconds"]["default"]
        scaling[name] = {"stabilizationWindowSeconds": window}
    worker = {"concurrency": ALL[".spec.worker.concurrency"]["default"]}
    assert Policy.of({"scaling": scaling, "worker": worker}) == Policy()
    assert Policy.of({}) == Policy()
    plain = {"metadata": {"name": "x"}, "spec": {"worker": {}}}
    assert resources.drain_seconds({}) == ALL[".spec.worker.drainSeconds"]["default"]
    assert resources.secret_name(plain) == ALL[".spec.worker.databaseSecretRef.name"]["default"]


@pytest.mark.parametrize("name", [*UNOWNED, "retention"])
def test_a_setting_of_the_queue_has_no_default(name: str) -> None:
    for path, schema in schemas(SPEC["properties"][name], name):
        assert "default" not in schema, path


def test_scale_and_status_are_subresources() -> None:
    assert VERSION["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


def test_columns_show_what_the_status_has() -> None:
    columns = VERSION["additionalPrinterColumns"]
    assert [each["name"] for each in columns] == [
        "Queued", "Running", "Oldest", "Replicas", "Desired", "Ready", "Age", "Reason",
    ]  # fmt: skip
    assert [each["name"] for each in columns if each.get("priority")] == ["Reason"]
    for each in columns:
        assert each["jsonPath"] in ALL or each["jsonPath"].startswith(".metadata.")


def test_every_rule_says_what_must_be() -> None:
    rules = [rule for each in ALL.values() for rule in each.get("x-kubernetes-validations", [])]
    assert len(rules) >= 10
    assert all("must" in rule["message"] for rule in rules)


def test_the_variables_that_the_operator_sets_are_refused_in_env() -> None:
    (rule,) = ALL[".spec.worker.env"]["x-kubernetes-validations"]
    refused = set(re.findall(r"TIDEMILL_\w+", rule["rule"]))
    task_queue = {"metadata": {"name": "q", "namespace": "n", "uid": "u"}, "spec": {"worker": {}}}
    defaults = resources.WorkerDefaults(image="i", app="a", with_ca=True)
    pod = resources.deployment(task_queue, defaults)["spec"]["template"]["spec"]
    assert {each["name"] for each in pod["containers"][0]["env"]} == refused


def test_the_example_uses_known_fields() -> None:
    def check(value: Any, schema: dict[str, Any], path: str) -> None:
        for name, each in value.items() if isinstance(value, dict) else ():
            if "properties" in schema:
                assert name in schema["properties"], f"{path}.{name}"
                check(each, schema["properties"][name], f"{path}.{name}")

    check(EXAMPLE["spec"], SPEC, "spec")
    assert EXAMPLE["kind"] == CRD["spec"]["names"]["kind"]
