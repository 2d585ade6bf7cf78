"""The workflows for forks run what is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


def steps(workflow: Path) -> list[tuple[str, dict[str, Any]]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [(name, step) for name, job in jobs.items() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_is_bounded_and_may_read_only(workflow: Path) -> None:
    found = yaml.safe_load(workflow.read_text())
    assert found["permissions"] == {"contents": "read"}
    for name, job in found["jobs"].items():
        assert job["timeout-minutes"] <= 90, name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_make_target_and_file_that_it_runs_is_there(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for _, step in steps(workflow) if "run" in step]
    for command in commands:
        assert set(re.findall(r"\bmake ([a-z0-9-]+)", command)) <= targets, command
        for path in re.findall(r"(?:^|[ =])((?:\.ci|charts)/[\w/.-]+)", command):
            assert (ROOT / path).exists(), command


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_named_with_a_version(workflow: Path) -> None:
    used = [step["uses"] for _, step in steps(workflow) if "uses" in step]
    assert used
    for each in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+)*", each), each


def test_all_groups_of_tests_that_need_no_cluster_run() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())["jobs"]
    default = re.search(r"^TESTS +\?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert default
    groups = set(jobs["tests"]["strategy"]["matrix"]["group"])
    assert groups == set(default[1].split()) - {"cluster"}
