"""What a decision remembers: idle time, last steps, what was called for lately, start times.

It lives in `status.scaling` of the TaskQueue, so that a restarted operator goes on where it was.
What was called for is kept as a few slices of the longer window, not as one entry a look: bounded,
and exact to a twelfth of the window.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, cast

from tidemill_operator.body import parts

SLICES = 12
"""Slices that a stabilisation window is kept as."""

QUICKER_SHARE = 0.25
"""How much one start that was quicker than those before changes what is expected."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Fewest and most replicas called for from `at` (Unix time, seconds) until the next slice."""

    at: float
    low: int
    high: int

    def with_call(self, replicas: int) -> "Slice":
        """Return the slice that has seen a call for `replicas` too."""
        return Slice(self.at, min(self.low, replicas), max(self.high, replicas))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Times are Unix seconds of the operator's clock; None = not so, or never."""

    idle_since: float | None = None
    raised_at: float | None = None
    lowered_at: float | None = None
    asked: tuple[Slice, ...] = ()
    start_seconds: float | None = None
    """How long a new replica took to become ready lately; None before the first one was seen."""

    def noting(self, now: float, replicas: int, *, keep_seconds: float) -> Self:
        """Return the memory with a call for `replicas`, and without slices past `keep_seconds`."""
        start = now - now % _length(keep_seconds)
        kept = self.recent(now, keep_seconds)
        if kept and kept[-1].at == start:
            kept[-1] = kept[-1].with_call(replicas)
        else:
            kept.append(Slice(start, replicas, replicas))
        return replace(self, asked=tuple(kept))

    def recent(self, now: float, keep_seconds: float) -> list[Slice]:
        """Return the slices of the last `keep_seconds`.

        A clock set back leaves slices of the future behind: they say nothing about the past.
        """
        length = _length(keep_seconds)
        oldest, newest = now - keep_seconds - length, now - now % length
        return [each for each in self.asked if oldest < each.at <= newest]

    def since(self, moment: float) -> Iterable[Slice]:
        """Return the slices that reach past `moment`."""
        ends = [each.at for each in self.asked[1:]] + [float("inf")]
        return [each for each, end in zip(self.asked, ends, strict=True) if end > moment]

    def to_status(self) -> dict[str, Any]:
        """Return the memory as it is written to `status.scaling`."""
        times = {
            "idleSince": self.idle_since,
            "raisedAt": self.raised_at,
            "loweredAt": self.lowered_at,
        }
        known: dict[str, Any] = {name: at for name, at in times.items() if at is not None}
        if self.asked:
            known["asked"] = [{"at": s.at, "low": s.low, "high": s.high} for s in self.asked]
        if self.start_seconds is not None:
            known["startSeconds"] = self.start_seconds
        return known

    @classmethod
    def from_status(cls, value: Mapping[str, Any]) -> Self:
        """Return the memory written by `to_status`, perhaps by another version, or by hand.

        What is absent or not as expected was never remembered.
        """
        asked: object = value.get("asked")
        slices = [_slice(each) for each in parts(value, "asked")] if isinstance(asked, list) else []
        return cls(
            idle_since=_number(value, "idleSince"),
            raised_at=_number(value, "raisedAt"),
            lowered_at=_number(value, "loweredAt"),
            asked=tuple(sorted((each for each in slices if each), key=lambda each: each.at)),
            start_seconds=_number(value, "startSeconds"),
        )

    def started(self, seconds: float) -> Self:
        """Return the memory that has seen replicas start within `seconds`.

        A slow start counts at once, a quick one only by a quarter: tasks that fall due while
        workers start had better find them there.
        """
        known = self.start_seconds
        if known is not None and seconds < known:
            seconds = known + (seconds - known) * QUICKER_SHARE
        return replace(self, start_seconds=round(seconds, 2))


def _length(keep_seconds: float) -> float:
    """Return the seconds of one slice."""
    return max(keep_seconds / SLICES, 1.0)


def _slice(value: object) -> Slice | None:
    if not isinstance(value, Mapping):
        return None
    found = cast("Mapping[str, Any]", value)
    at, low, high = (_number(found, name) for name in ("at", "low", "high"))
    return None if at is None or low is None or high is None else Slice(at, int(low), int(high))


def _number(value: Mapping[str, Any], name: str) -> float | None:
    found: object = value.get(name)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
