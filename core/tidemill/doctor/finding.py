"""What a look at the database says: findings, their levels, and figures in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Row = Mapping[str, Any]
Rows = Sequence[Row]


class Level(StrEnum):
    """How much a finding matters, least first."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence with its figures and what to do about it.

    `check` names what was looked at; names and the keys of `figures` are stable, for scripts.
    """

    check: str
    level: Level
    finding: str
    advice: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the checks. `database` is the address without its password."""

    database: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst of all findings."""
        return max((each.level for each in self.findings), key=lambda each: each.rank)

    def count(self, level: Level) -> int:
        """Return how many findings have this level."""
        return sum(each.level is level for each in self.findings)


def ok(check: str, finding: str, **figures: Any) -> list[Finding]:
    """Return the one finding of a check that found nothing wrong."""
    return [Finding(check, Level.OK, finding, figures=figures)]


def plural(count: int, noun: str, many: str = "") -> str:
    """Return `1 task`, `1,234 tasks`; `many` where adding an s does not do."""
    return f"{count:,} {noun if count == 1 else many or f'{noun}s'}"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: `0.9 ms`, `12 s`, `1 h 5 min`, `3 d 4 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    parts: list[str] = []
    rest = round(seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if rest >= length:
            parts.append(f"{rest // length} {unit}")
            rest %= length
    return " ".join(parts[:2])


def size(count: float) -> str:
    """Return bytes as `512 B`, `8.0 KiB`, `1.5 GiB`."""
    for unit, length in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count:.0f} B"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return `a, b and 3 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def quoted(name: str) -> str:
    """Return a name as SQL writes an identifier."""
    escaped = name.replace('"', '""')
    return name if name.isidentifier() and name == name.lower() else f'"{escaped}"'


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
