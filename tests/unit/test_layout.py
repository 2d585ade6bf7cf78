"""Rules of the source tree that nothing else would notice when they break."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("core", "api", "worker", "operator", "cli")
PACKAGES = {
    "core": "tidemill",
    "api": "tidemill_api",
    "worker": "tidemill_worker",
    "operator": "tidemill_operator",
    "cli": "tidemill_cli",
}
MOST_LINES = 300
# Hosts of package registries and mirrors, and folders of one person's machine.
FOREIGN = re.compile(
    r"(files\.pythonhosted\.org|pypi\.org/simple|registry\.npmjs\.org|index-url|proxy\.golang\.org"
    r"|(?<![\w.])/(?:work|tmp/tm|home/\w+|Users/\w+|root)/)"
)


def tracked() -> list[Path]:
    """All files of the repository, or of the tree where this is no clone."""
    told = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [path for name in told.split("\0") if name and (path := ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def test_a_source_root_is_a_folder_of_exactly_one_package() -> None:
    for root, package in PACKAGES.items():
        inside = {
            path.relative_to(ROOT / root).parts[0]
            for path in tracked()
            if path.is_relative_to(ROOT / root)
        }
        assert inside == {package}, root


@pytest.mark.parametrize("folder", [*SOURCE_ROOTS, "tests", "."])
def test_these_folders_are_no_packages(folder: str) -> None:
    """operator/__init__.py, say, would stand in for the standard library's operator."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_tests_have_no_packages() -> None:
    assert not [path for path in tracked() if path.match("tests/**/__init__.py")]


def test_every_package_says_that_it_is_typed() -> None:
    for root, package in PACKAGES.items():
        assert (ROOT / root / package / "py.typed").exists(), package


def test_no_registry_and_no_machine_is_named() -> None:
    found = []
    for path in tracked():
        if path in (Path(__file__), ROOT / "LICENSE"):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(text.splitlines(), 1)
            if FOREIGN.search(line)
        ]
    assert not found, "\n".join(found)


def test_files_are_small() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in python_files()
        if (count := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long


def test_nothing_is_left_to_do_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b")
    assert not [
        str(path.relative_to(ROOT))
        for path in python_files()
        if path != Path(__file__) and marks.search(path.read_text())
    ]


def test_an_exception_from_a_rule_has_its_reason() -> None:
    """After the codes, in words: `# noqa: S603 - our own program`."""
    reason = r"\s+(?:[-#]\s*)?[a-z]"
    bare = re.compile(
        rf"#\s*noqa(?!: [A-Z]+\d+(?:, ?[A-Z]+\d+)*{reason})"
        rf"|#\s*(?:type|pyright): ?ignore(?!\[[^\]]+\]{reason})",
        re.IGNORECASE,
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in python_files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]
    assert not found, "\n".join(found)
