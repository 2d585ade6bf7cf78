"""What a subject comes to: a table, bars, and the same figures for programs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that must be at least, or at most, `bound`."""

    what: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def holds(self) -> bool:
        """Whether the figure is on the right side."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def __str__(self) -> str:
        """Return it as a line for people."""
        rule = f"{'at most' if self.at_most else 'at least'} {self.bound:g}"
        verdict = "holds" if self.holds else "FAILS"
        return f"{verdict}: {self.what} is {self.value:.2f} (must be {rule})"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        rule = "at_most" if self.at_most else "at_least"
        return {"what": self.what, "value": self.value, rule: self.bound, "holds": self.holds}


@dataclass(frozen=True, slots=True)
class Finding:
    """The table of a subject: `columns` name all but the first; `figures` is its JSON."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Mapping[str, Any]
    bars: Sequence[Bar] = field(default=())
    notes: Sequence[str] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        bars = [each.to_json() for each in self.bars]
        return {"name": self.name, **self.figures, "bars": bars, "notes": list(self.notes)}


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = int(-(-share * len(ordered) // 1))  # rounded up
    return ordered[max(0, rank - 1)]


def number(value: float | None, digits: int = 1) -> str:
    """Return a figure as text, `-` for one that is not known."""
    return "-" if value is None else f"{value:,.{digits}f}"
