"""Cron expressions in time zones, as pure functions: which slots there are, and which one to fire.

A slot is a whole minute, as an instant in UTC. cronsim reads the expression and walks the calendar
in wall clock time; what a change of the clocks does to a wall time is decided here, by the rule of
Debian's cron:

  * `*` or `*/n` as minute or hour: every instant whose wall time matches. In the hour that the
    clocks leave out there is none, in the hour that comes twice there are twice as many.
  * a fixed minute and hour: once a matching day. A time that the clocks leave out is taken at the
    first moment after the gap, one that comes twice at the first of both.

Two wall times may come to the same instant after a gap: that is one slot.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from tidemill.errors import Fault

ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MAX_LENGTH: Final = 200
_FIELDS: Final = 5
_MINUTE: Final = timedelta(minutes=1)
_LARGEST_SHIFT: Final = timedelta(hours=6)
"""More than any change that sets clocks back."""

# In every copy of the database, but no place's time: what the machine is set to, no time at all,
# and counts of leap seconds that no clock of ours has.
_NO_ZONES: Final = ("localtime", "posixrules", "Factory", "posix/", "right/")
_ANY_MOMENT: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - wall clock time


@dataclass(frozen=True, slots=True)
class Due:
    """What to do with a schedule whose next slot has come: fire `slot` (or none), then wait."""

    slot: datetime | None
    next_slot: datetime | None


def faults(cron: str, zone: str) -> list[Fault]:
    """Return what is wrong with a schedule's times, by field."""
    found: list[Fault] = []
    if rule := _cron_rule(cron):
        found.append(Fault("cron", rule, cron))
    try:
        _zone(zone)
    except ValueError as error:
        found.append(Fault("time_zone", str(error), zone))
    return found


def next_slot(cron: str, zone: str, after: datetime) -> datetime | None:
    """Return the first slot strictly after `after`, or None when there is none in 50 years.

    Raises ValueError for what `faults` names.
    """
    place, expression, start = _zone(zone), _expression(cron), after.astimezone(UTC)
    every = _is_wildcard(expression)
    second_pass: datetime | None = None
    for wall in CronSim(expression, _local(start - _backwards(place, start), place)):
        first, second = _instants(wall, place, every=every)
        if second is not None and second > start and second_pass is None:
            second_pass = second
        if first is not None and first > start:
            return min(first, second_pass) if second_pass else first
    return second_pass


def slots_between(cron: str, zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the slots later than `after` and not later than `until`, in order."""
    slot = next_slot(cron, zone, after)
    while slot is not None and slot <= until:
        yield slot
        slot = next_slot(cron, zone, slot)


def upcoming(cron: str, zone: str, after: datetime, count: int) -> list[datetime]:
    """Return the first `count` slots after `after`; fewer when there are no more in 50 years."""
    found: list[datetime] = []
    while len(found) < count and (slot := next_slot(cron, zone, found[-1] if found else after)):
        found.append(slot)
    return found


def latest_slot(cron: str, zone: str, since: datetime, until: datetime) -> datetime | None:
    """Return the latest slot from `since` to `until`, both included.

    Looks back in steps that double: a year of minutes missed costs no more than an hour of them.
    """
    earliest = since - timedelta(microseconds=1)
    span = timedelta(hours=1)
    while True:
        start = max(earliest, until - span)
        latest: datetime | None = None
        for latest in slots_between(cron, zone, start, until):  # noqa: B007 - the last one counts
            pass
        if latest is not None or start == earliest:
            return latest
        span *= 2


def due(
    cron: str,
    zone: str,
    slot: datetime,
    now: datetime,
    *,
    oldest: datetime | None = None,
    ends_at: datetime | None = None,
) -> Due:
    """Decide on a schedule whose `slot` has come, `now` by Postgres's clock.

    However many slots went by, only the latest fires; and it does not when it is before `oldest`
    (the policy `skip`). No slot is later than `ends_at`.
    """
    until = now if ends_at is None else min(now, ends_at)
    latest = latest_slot(cron, zone, slot, until) if slot <= until else None
    if latest is not None and oldest is not None and latest < oldest:
        latest = None
    following = next_slot(cron, zone, now)
    if following is not None and ends_at is not None and following > ends_at:
        following = None
    return Due(latest, following)


@lru_cache(maxsize=1024)
def _cron_rule(cron: str) -> str | None:
    """Return the rule that `cron` breaks, or None."""
    if len(cron) > MAX_LENGTH:
        return f"must have at most {MAX_LENGTH} characters"
    if cron.startswith("@"):
        return None if cron in ALIASES else f"must be one of {', '.join(ALIASES)}"
    if len(cron.split()) != _FIELDS:
        return "must have 5 fields (minute, hour, day of month, month, day of week) or be an @name"
    try:
        sim = CronSim(cron, _ANY_MOMENT)
    except CronSimError as error:
        return f"must be a cron expression: {str(error).lower()}"
    return None if next(sim, None) else "must name a date that comes within 50 years"


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    """Return the zone. Raises ValueError with the rule."""
    try:
        if not name.startswith(_NO_ZONES):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # missing; or a path, a folder, a file of another kind
    raise ValueError("must be an IANA time zone such as Europe/Rome or UTC")


def _expression(cron: str) -> str:
    """Return the five fields. Raises ValueError with the rule that `cron` breaks."""
    if rule := _cron_rule(cron):
        raise ValueError(f"cron: {rule} (got {cron!r})")
    return ALIASES.get(cron, cron)


def _is_wildcard(expression: str) -> bool:
    minute, hour, *_ = expression.split()
    return minute.startswith("*") or hour.startswith("*")


def _backwards(zone: ZoneInfo, moment: datetime) -> timedelta:
    """Return how far back to look: where clocks change, wall times seen before may come again."""
    around = (moment - _LARGEST_SHIFT, moment + _LARGEST_SHIFT)
    before, after = (each.astimezone(zone).utcoffset() for each in around)
    return timedelta(0) if before == after else _LARGEST_SHIFT


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _instants(
    wall: datetime, zone: ZoneInfo, *, every: bool
) -> tuple[datetime | None, datetime | None]:
    """Return the instants of a wall time that count: the first, and the second if it comes twice.

    `every`: a wildcard, which counts both, and neither of a time that does not come.
    """
    first = _instant(wall, zone, fold=0)
    if every:
        if first is None:
            return None, None
        second = _instant(wall, zone, fold=1)
        return first, second if second != first else None
    while first is None:
        wall += _MINUTE
        first = _instant(wall, zone, fold=0)
    return first, None


def _instant(wall: datetime, zone: ZoneInfo, *, fold: int) -> datetime | None:
    """Return the instant, or None for a time that the clocks leave out."""
    instant = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return instant if _local(instant, zone) == wall else None
