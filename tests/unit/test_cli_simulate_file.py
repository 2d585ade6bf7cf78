"""`tidemill simulate --file`: a TaskQueue's policy is what is played."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from tidemill_cli.commands.simulate import command
from tidemill_cli.simulating.task_queue import MODE, NOT_PLAYED, OF_NO_ACCOUNT, PLAYED
from tidemill_operator.policy import Policy

CRD = Path(__file__).parents[2] / "crds" / "taskqueues.tidemill.dev.yaml"


def spec_schema() -> dict[str, Any]:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, each in schema["properties"].items():
        if "properties" in each:
            yield from leaves(each, f"{path}{name}.")
        else:
            yield path + name, each


def run(*arguments: str, stdin: str) -> Result:
    given = ("--file", "-", "--alone", "--runs", "1", *arguments)
    return CliRunner().invoke(command, given, input=stdin, standalone_mode=False)


def task_queue(**spec: object) -> str:
    return yaml.safe_dump({"kind": "TaskQueue", "metadata": {"name": "mail"}, "spec": spec})


def told(*arguments: str, stdin: str) -> dict[str, Any]:
    result = run("-o", "json", *arguments, stdin=stdin)
    assert result.exception is None, result.exception
    found: dict[str, Any] = json.loads(result.stdout)["scalers"][0]
    return found


def test_the_bounds_are_those_of_the_crd() -> None:
    fields = dict(leaves(spec_schema()))
    for path, each in PLAYED.items():
        assert (each.least, each.most) == (
            fields[path].get("minimum"),
            fields[path].get("maximum"),
        ), path
    scaling = {path for path in fields if path.startswith("scaling.")}
    assert scaling == {path for path in PLAYED if path.startswith("scaling.")} | {MODE}
    assert {*NOT_PLAYED, *OF_NO_ACCOUNT, "worker", "scaling"} == set(spec_schema()["properties"])


def test_each_field_of_the_file_has_an_option_of_its_own() -> None:
    options = {each.name for each in command.params}
    assert {each.option for each in PLAYED.values()} <= options
    assert len({each.option for each in PLAYED.values()}) == len(PLAYED)


def test_the_file_sets_the_policy_and_an_option_beside_it_wins() -> None:
    file = task_queue(worker={"concurrency": 1, "image": "x"}, scaling={"maxReplicas": 3})
    assert told(stdin=file)["most_replicas"] == 3
    assert told("--max-replicas", "4", stdin=file)["most_replicas"] == 4


def test_what_the_file_leaves_out_is_as_the_crd_defaults_it() -> None:
    bare = told("--tasks-per-replica", "100", stdin=task_queue())
    assert bare == told(
        "--tasks-per-replica", "100", "--concurrency", str(Policy().slots), stdin=task_queue()
    )
    assert bare["wait_p99_seconds"] < 15  # 20 at once, not one after the other


def test_step_limits_and_a_null_are_read() -> None:
    scaling = {"scaleUp": {"maxStep": 2}, "scaleDown": None, "targetWaitSeconds": None}
    file = task_queue(worker={"concurrency": 1}, scaling=scaling)
    text = run("--timeline", stdin=file).stdout
    assert "at most 2 at once: 2 replicas" in text


def test_what_is_not_played_is_said() -> None:
    file = task_queue(maxRunning=3, paused=False, scaling={"mode": "External"})
    assert run(stdin=file).stderr.splitlines() == [
        "<stdin>: spec.maxRunning is not played",
        "<stdin>: spec.scaling.mode External is played as Operator",
    ]


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("", "<stdin>: must hold one TaskQueue (got nothing)"),
        ("kind: Pod", "must hold one TaskQueue (got Pod)"),
        ("- 1", "must hold one TaskQueue (got something without a kind)"),
        (f"{task_queue()}---\n{task_queue()}", "must hold one TaskQueue (got TaskQueue, TaskQ"),
        ("kind: [", "must be YAML: while parsing a flow"),
        (task_queue(scaling=3), "spec.scaling: must have fields (got 3)"),
        (task_queue(scaling={"minReplica": 3}), "spec.scaling.minReplica: must be a field of a Ta"),
        (task_queue(scaling={"minReplica": 3}), "(did you mean minReplicas?)"),
        (task_queue(scalling={}), "spec.scalling: must be a field of a TaskQueue (did you mean sc"),
        (task_queue(scaling={"maxReplicas": "9"}), "from 1 to 1000 (got '9')"),
        (task_queue(scaling={"maxReplicas": 0}), "maxReplicas: must be a whole number from 1 to"),
        (task_queue(scaling={"protectBusy": 1}), "protectBusy: must be true or false (got 1)"),
        (task_queue(scaling={"minReplicas": 11}), "must be at most --max-replicas 10 (got 11)"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_played_is_refused_by_field_rule_and_value(
    file: str, rule: str
) -> None:
    error = run(stdin=file).exception
    assert isinstance(error, click.UsageError)
    assert rule in error.format_message()
