"""Cron slots in general: against their definition, minute by minute, mostly where clocks change."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tidemill import cron

# Shifts of an hour, of half of one, of two; at midnight; by politics; a day left out; none at all.
ZONES = (
    *("Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Beirut"),
    *("Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/Santiago", "Asia/Gaza"),
    *("Pacific/Apia", "Pacific/Chatham", "America/St_Johns", "Asia/Kathmandu", "UTC"),
)
MINUTE = timedelta(minutes=1)
DAY = 24 * 60


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    listed = st.lists(number, min_size=1, max_size=3).map(lambda ns: ",".join(map(str, ns)))
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    return st.one_of(st.just("*"), st.integers(1, 30).map(lambda n: f"*/{n}"), listed, span)


expressions = st.one_of(
    st.tuples(field(0, 59), field(0, 4), st.just("*"), st.just("*"), st.just("*")),
    st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)),
).map(" ".join)
zones = st.sampled_from(ZONES)


@cache
def changes(zone: str) -> list[datetime]:
    """Return the days in which a zone's clocks change."""
    first, found = datetime(2009, 1, 1, tzinfo=UTC), list[datetime]()
    before = first.astimezone(ZoneInfo(zone)).utcoffset()
    for day in range(365 * 20):
        moment = first + timedelta(days=day)
        offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
        if offset != before:
            found.append(moment)
        before = offset
    return found or [first]


@st.composite
def zones_and_moments(draw: st.DrawFn) -> tuple[str, datetime]:
    """Draw a zone and a moment, mostly within hours of a change of its clocks."""
    zone = draw(zones)
    near = draw(st.sampled_from(changes(zone)))
    away = draw(st.one_of(st.integers(-DAY - 400, 200), st.integers(-4000 * DAY, 4000 * DAY)))
    return zone, near + away * MINUTE + draw(st.timedeltas(timedelta(0), MINUTE))


def matches(sim: CronSim, wall: datetime) -> bool:
    return (
        wall.minute in sim.minutes
        and wall.hour in sim.hours
        and wall.month in sim.months
        and sim.match_day(wall.date())
    )


def is_slot(expression: str, zone: str, moment: datetime) -> bool:
    """Say by the definition whether `moment`, a whole minute, is a slot."""
    sim = CronSim(expression, datetime(2024, 1, 1))  # noqa: DTZ001 - only its fields are used
    here = moment.astimezone(ZoneInfo(zone))
    wall = here.replace(tzinfo=None)
    minute, hour, *_ = expression.split()
    if minute.startswith("*") or hour.startswith("*"):
        return matches(sim, wall)
    if here.fold == 0 and matches(sim, wall):
        return True
    before = (moment - MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    left_out = range(1, (wall - before) // MINUTE)
    return any(matches(sim, before + n * MINUTE) for n in left_out)


@settings(deadline=None, max_examples=150)
@given(expressions, zones_and_moments())
def test_the_next_slot_is_the_first_minute_that_is_one(
    expression: str, place: tuple[str, datetime]
) -> None:
    zone, after = place
    assume(not cron.faults(expression, zone))
    slot = cron.next_slot(expression, zone, after)
    assert slot is not None
    assert slot > after
    assert slot.tzinfo is UTC
    assert is_slot(expression, zone, slot)
    minute = after.replace(second=0, microsecond=0) + MINUTE
    for _ in range(3 * DAY):
        if minute >= slot:
            break
        assert not is_slot(expression, zone, minute), minute
        minute += MINUTE


@settings(deadline=None)
@given(expressions, zones_and_moments(), st.timedeltas(timedelta(0), timedelta(days=2)))
def test_later_moments_never_have_earlier_slots(
    expression: str, place: tuple[str, datetime], later: timedelta
) -> None:
    zone, after = place
    assume(not cron.faults(expression, zone))
    first, second = (cron.next_slot(expression, zone, each) for each in (after, after + later))
    assert first is not None
    assert second is not None
    assert first <= second
    # every moment up to a slot has the same next slot, and asking twice changes nothing
    if after + later < first:
        assert second == first
    assert cron.next_slot(expression, zone, after) == first


@settings(deadline=None, max_examples=50)
@given(expressions, zones_and_moments(), st.timedeltas(timedelta(0), timedelta(days=3)))
def test_the_latest_slot_is_the_last_of_those_between(
    expression: str, place: tuple[str, datetime], span: timedelta
) -> None:
    zone, since = place
    assume(not cron.faults(expression, zone))
    between = list(cron.slots_between(expression, zone, since - timedelta.resolution, since + span))
    latest = cron.latest_slot(expression, zone, since, since + span)
    assert latest == (between[-1] if between else None)
    assert between == sorted(set(between))


@given(st.one_of(st.text(), st.from_regex(r"[0-9*,/#LW@A-Z -]{1,40}", fullmatch=True)), st.text())
def test_no_text_does_worse_than_a_fault(expression: str, zone: str) -> None:
    named = {fault.field for fault in cron.faults(expression, zone)}
    if "cron" not in named:
        assert cron.next_slot(expression, "UTC", datetime(2026, 1, 1, tzinfo=UTC)) is not None
