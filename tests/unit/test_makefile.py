"""The Makefile: what people expect is there, and `make help` lists everything."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXPECTED = {
    "help",
    "setup",
    "run",
    "test",
    "check",
    "fmt",
    "lint",
    "build",
    "docker-build",
    "up",
    "down",
    "destroy",
    "logs",
    "ps",
    "config",
    "db-shell",
    "migrate-up",
    "migrate-down",
    "check-tools",
    "run-k8s",
    "k8s-down",
    "cluster-up",
    "cluster-down",
    "bench",
    "clean",
}


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", text, re.MULTILINE))


def listed() -> set[str]:
    # `make test` runs this as well: nothing of that make may reach this one.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    told = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env=clean
    ).stdout
    return {line.split()[0] for line in told.splitlines()}


def test_what_people_expect_is_there() -> None:
    assert targets() >= EXPECTED


def test_help_lists_every_target() -> None:
    assert listed() == targets()


def test_every_target_is_phony() -> None:
    """None makes a file of its name: a folder `docs` or `bench` must not make it up to date."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    phony = re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == targets()
