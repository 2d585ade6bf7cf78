"""The locked dependencies: they agree, they cover pyproject.toml, they name no registry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STALE = "run `make lock`"


def pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in found}


def test_the_three_lists_agree() -> None:
    everything = pins("requirements/dev.txt")
    assert pins("constraints.txt") == everything
    assert pins("requirements/run.txt").items() <= everything.items()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements/run.txt", PROJECT["dependencies"]),
        (
            "requirements/dev.txt",
            PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"],
        ),
    ],
)
def test_every_requirement_is_locked_to_a_version_that_it_allows(
    name: str, wanted: list[str]
) -> None:
    locked = pins(name)
    for requirement in map(Requirement, wanted):
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name}: {STALE}"
        assert requirement.specifier.contains(version), f"{requirement}: {STALE}"


@pytest.mark.parametrize("name", ["requirements/run.txt", "requirements/dev.txt"])
def test_every_file_is_checked_by_hash(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "==" in line]
    assert lines
    assert all("--hash=sha256:" in line for line in lines)


@pytest.mark.parametrize(
    "name", ["constraints.txt", "requirements/run.txt", "requirements/dev.txt"]
)
def test_no_list_says_where_its_files_come_from(name: str) -> None:
    assert not re.search(r"https?:|index|find-links|trusted-host", (ROOT / name).read_text())
