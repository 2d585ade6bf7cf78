"""What the documents name is there: files, tests, make targets, commands."""

import re
from pathlib import Path

import pytest

from tidemill_cli.__main__ import COMMANDS, Exit

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TOPS = "core|api|worker|operator|cli|crds|charts|testbed|deploy|bench|tests|docs|examples|tools"


def named_paths(text: str) -> set[str]:
    found = re.findall(rf"`((?:{TOPS})/[\w./-]*)(?:::\w+)?`", text)
    return {path for path in found if "NNNN" not in path and not path.endswith("/__init__.py")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    assert not [path for path in named_paths(page.read_text()) if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", ["failure-modes.md", "semantics.md"])
def test_every_promise_names_a_test_that_exists(page: str) -> None:
    rows = [
        line
        for line in (ROOT / "docs" / page).read_text().splitlines()
        if line.startswith("| ") and not line.endswith("| shown by |")
    ]
    assert rows
    for row in rows:
        named = re.search(r"`(tests/[\w/.]+)::(\w+)` \|$", row)
        assert named, row
        assert f"def {named[2]}(" in (ROOT / named[1]).read_text(), row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:`|^|\$ )make ([a-z][a-z0-9-]*)", page.read_text(), re.MULTILINE)
    assert set(named) <= targets


def test_the_command_line_page_lists_every_command_and_exit_code() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    named = re.findall(r"^\| `tidemill ([a-z]+)[ \w]*` \|", text, re.MULTILINE)
    assert named == list(COMMANDS)
    codes = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert [int(code) for code in codes] == list(Exit)


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
