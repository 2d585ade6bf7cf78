"""Write docs/chart.md: every value of the chart with its default and meaning (`make docs`).

A value's meaning is the comment above or beside it in values.yaml, else the description in
values.schema.json. Standard library only: the comments are what a YAML parser would drop.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "tidemill"
PAGE = ROOT / "docs" / "chart.md"
MARK = "<!-- Made from values.yaml by `make docs`: edit that. -->"
LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<rest>.*)$")
COMMENT = re.compile(r"(?:^|\s+)# (?P<text>.*)$")


@dataclass(frozen=True)
class Value:
    """One value, or a section (`default` is None) that has values below it."""

    path: tuple[str, ...]
    default: str | None
    meaning: str


def values(text: str) -> list[Value]:
    """Return the sections and values of values.yaml in its order."""
    found: list[Value] = []
    above: list[str] = []
    path: list[str] = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            stripped = line.strip()
            above = [*above, stripped[2:]] if stripped.startswith("# ") else []
            continue
        depth = len(match["indent"]) // 2
        path = [*path[:depth], match["key"]]
        beside = COMMENT.search(match["rest"])
        default = COMMENT.sub("", match["rest"]).strip()
        meaning = " ".join([*above, *([beside["text"]] if beside else [])])
        found.append(Value(tuple(path), default or None, meaning))
        above = []
    return found


def described(schema: dict[str, Any], path: tuple[str, ...]) -> str:
    """Return what the schema says of the value, or of the map of free names that it is in."""
    place: dict[str, Any] = schema
    said = ""
    for name in path:
        properties = _resolved(schema, place).get("properties", {})
        if name not in properties:
            return said
        place = properties[name]
        said = str(place.get("description") or _resolved(schema, place).get("description", ""))
    return said


def _resolved(schema: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in place:
        return place
    found: dict[str, Any] = schema["definitions"][place["$ref"].rsplit("/", 1)[1]]
    return found


def table(chart: Path = CHART) -> str:
    """Return the part of the page that is made.

    Raises:
        ValueError: a value has no meaning, neither here nor in the schema.
    """
    schema = json.loads((chart / "values.schema.json").read_text())
    lines: list[str] = []
    for value in values((chart / "values.yaml").read_text()):
        name = ".".join(value.path)
        if value.default is None:
            if len(value.path) == 1:
                lines += ["", f"### {name}", "", *([value.meaning, ""] if value.meaning else [])]
                lines += ["| value | default | meaning |", "|---|---|---|"]
            elif value.meaning:
                lines.append(f"| `{name}` | | {_cell(value.meaning)} |")
            continue
        meaning = value.meaning or described(schema, value.path)
        if not meaning:
            raise ValueError(f"{name} has no meaning: write a comment in values.yaml")
        if len(value.path) == 1:
            lines += ["", f"### {name}", "", f"{meaning.rstrip('.')}. Default: `{value.default}`."]
        else:
            lines.append(f"| `{name}` | `{value.default}` | {_cell(meaning)} |")
    return "\n".join(lines).strip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page(text: str) -> str:
    """Return the page with its made part as it should be."""
    return text.partition(MARK)[0] + MARK + "\n\n" + table()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
