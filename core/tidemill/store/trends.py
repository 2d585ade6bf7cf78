"""What happened lately, stretch by stretch, from figures that are kept anyway: never from tasks.

Fine buckets are kept for a day, hours for 30 days, days for ever. A stretch of which the buckets
are no longer kept is left out: nothing is known of it, which is not zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tidemill import sql
from tidemill.db import Database, Record
from tidemill.metrics import SECONDS_BUCKETS

MOST_POINTS: Final = 1500
"""Stretches in one answer; of more, the latest."""

USUAL_POINTS: Final = 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Resolution:
    """Stretches of `length`, read from `buckets` that are kept for `kept` (None: for ever)."""

    length: timedelta
    buckets: str
    kept: timedelta | None

    def floor(self, time: datetime) -> datetime:
        """Return the start of the stretch that `time` is in."""
        return time - (time - _EPOCH) % self.length

    def ceil(self, time: datetime) -> datetime:
        """Return the first start of a stretch that is not before `time`."""
        return time + (_EPOCH - time) % self.length

    def bounds(
        self, since: datetime | None, until: datetime | None, now: datetime
    ) -> tuple[datetime, datetime]:
        """Return the whole stretches that hold `since` to `until`, as far as they are known."""
        end = self.ceil(now if until is None else min(now, until))
        start = end - self.length * USUAL_POINTS if since is None else self.floor(since)
        start = max(start, end - self.length * MOST_POINTS)
        if self.kept is not None:
            start = max(start, self.ceil(now - self.kept))
        return min(start, end), end


RESOLUTIONS: Final[Mapping[str, Resolution]] = {
    "minute": Resolution(timedelta(minutes=1), "10s", timedelta(days=1)),
    "hour": Resolution(timedelta(hours=1), "hour", timedelta(days=30)),
    "day": Resolution(timedelta(days=1), "day", None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What happened in the stretch that starts `at`. Waits are null where nothing started."""

    at: datetime
    enqueued: int = 0
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    failed_attempts: int = 0
    retries: int = 0
    leases_expired: int = 0
    replayed: int = 0
    run_seconds: float = 0.0
    wait_p50_seconds: float | None = None
    wait_p99_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Trends:
    """A point for each stretch from `since` until `until` (excluded); the last may still go on."""

    since: datetime
    until: datetime
    points: Sequence[Point]


class TrendStore:
    """The past of `db`."""

    def __init__(self, db: Database) -> None:
        """Read `db`."""
        self._db = db

    async def points(
        self,
        resolution: Resolution,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        queues: Sequence[str] | None = None,
    ) -> Trends:
        """Return what happened in `queues` together (None: in all), oldest first."""
        now: datetime = await self._db.fetchval(sql.load("now"))
        start, end = resolution.bounds(since, until, now)
        seconds = resolution.length.total_seconds()
        seen = None if queues is None else list(queues)
        rows = await self._db.fetch(
            sql.load("trends"), resolution.buckets, seconds, start, end, seen
        )
        return Trends(start, end, list(_filled(rows, start, end, resolution.length)))


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return what `share` of the waits were within, by their counts: a line through the bucket."""
    left = share * sum(counts)
    if not left:
        return None
    lower = 0.0
    for count, upper in zip(counts, SECONDS_BUCKETS, strict=False):
        if left <= count:
            return lower + (upper - lower) * left / count
        left, lower = left - count, upper
    return lower  # beyond the last bound nothing more is known


def _filled(
    rows: Sequence[Record], start: datetime, end: datetime, length: timedelta
) -> Iterator[Point]:
    found = {row["at"]: row for row in rows}
    for place in range((end - start) // length):
        at = start + place * length
        yield _point(found[at]) if at in found else Point(at=at)


def _point(row: Record) -> Point:
    values = dict(row)
    waits = values.pop("waits") or ()
    return Point(
        **values, wait_p50_seconds=quantile(waits, 0.5), wait_p99_seconds=quantile(waits, 0.99)
    )
