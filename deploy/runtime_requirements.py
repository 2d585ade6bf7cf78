"""Print the requirements of pyproject.toml, without the packages that an image leaves out.

Runs alone inside an image build, before anything of the project is installed.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, without: set[str]) -> list[str]:
    """Return the runtime requirements of `pyproject`, less those named in `without`.

    Raises KeyError when a name in `without` is no requirement: the list has drifted.
    """
    declared: list[str] = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    by_name = {_name(each): each for each in declared}
    for name in without:
        del by_name[name]
    return list(by_name.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pyproject", type=Path)
    parser.add_argument("--without", action="append", default=[], metavar="PACKAGE")
    given = parser.parse_args()
    sys.stdout.write("\n".join(requirements(given.pyproject, set(given.without))) + "\n")


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    if found is None:
        raise ValueError(f"not a requirement: {requirement!r}")
    return found.group().lower()


if __name__ == "__main__":
    main()
