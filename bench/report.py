"""What is printed: text for people, JSON for machines. Pure."""

import json
from collections.abc import Mapping, Sequence

from bench.findings import Finding


def text(facts: Mapping[str, str], counted: str, findings: Sequence[Finding]) -> str:
    """Return the tables of all findings, the machine on top."""
    parts = [machine(facts), f"statements: {counted}"]
    parts += [table(each) for each in findings]
    return "\n\n".join(parts)


def machine(facts: Mapping[str, str]) -> str:
    """Return the machine and the server in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def table(finding: Finding) -> str:
    """Return one finding: its table, then its bars and notes."""
    rows = [["", *finding.columns], *finding.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    ends = [f"  {each}" for each in (*finding.bars, *finding.notes)]
    return "\n".join([f"{finding.name}: {finding.title}", *lines, *ends])


def to_json(facts: Mapping[str, str], counted: str, findings: Sequence[Finding]) -> str:
    """Return everything as one JSON object."""
    found = {
        "machine": dict(facts),
        "statements_counted_by": counted,
        "results": [each.to_json() for each in findings],
    }
    return json.dumps(found, indent=2)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()
