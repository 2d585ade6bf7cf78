"""Where a pass of retention looks, and where it goes on."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tidemill.store.passes import BEYOND, PAGES, Spot, after, look, start_of

MONDAY = date(2026, 11, 2)
DAY = 86400.0
DAYS = {MONDAY + timedelta(days=n): 1000 for n in range(10)}


def at(day: int, hours: float = 0.0) -> datetime:
    return start_of(MONDAY) + timedelta(days=day, hours=hours)


def test_a_long_keep_time_waits_until_all_of_the_day_is_due() -> None:
    assert look(Spot(MONDAY), 7 * DAY, DAYS, at(8) - timedelta(seconds=1)) is None
    assert look(Spot(MONDAY), 7 * DAY, DAYS, at(8)) == Spot(MONDAY, final=True)


def test_a_short_keep_time_follows_the_day_that_is_not_over() -> None:
    assert look(Spot(MONDAY), 7200, DAYS, at(0, 1.9)) is None
    assert look(Spot(MONDAY, 256), 7200, DAYS, at(0, 2)) == Spot(MONDAY, 256)


def test_a_day_that_was_followed_is_gone_through_again_when_it_is_over() -> None:
    assert look(Spot(MONDAY, 256), 7200, DAYS, at(1, 2)) == Spot(MONDAY, 0, final=True)
    assert look(Spot(MONDAY, 256, final=True), 7200, DAYS, at(1, 3)) == Spot(
        MONDAY, 256, final=True
    )


def test_a_day_without_keep_time_is_over_when_late_commits_are() -> None:
    assert look(Spot(MONDAY), 0, DAYS, at(1)) == Spot(MONDAY)
    assert look(Spot(MONDAY), 0, DAYS, at(1, 1)) == Spot(MONDAY, final=True)


def test_days_that_are_gone_are_stepped_over() -> None:
    assert look(Spot(), 7 * DAY, DAYS, at(9)) == Spot(MONDAY, final=True)
    assert look(Spot(MONDAY + timedelta(days=30)), 0, DAYS, at(60)) is None
    left = {day: pages for day, pages in DAYS.items() if day > MONDAY}
    assert look(Spot(MONDAY, 512, final=True), DAY, left, at(5)) == Spot(min(left), final=True)


def test_a_pass_goes_on_only_past_pages_where_nothing_is_left() -> None:
    spot = Spot(MONDAY, PAGES, final=True)
    now = at(2)
    assert after(spot, DAY, 1000, now, left_over=True) == spot
    assert after(spot, DAY, 1000, now, left_over=False) == Spot(MONDAY, 2 * PAGES, final=True)
    assert after(spot, DAY, 2 * PAGES, now, left_over=False) == Spot(MONDAY + timedelta(days=1))


def test_the_last_pages_of_a_day_that_is_not_over_are_looked_at_again() -> None:
    spot = Spot(MONDAY, PAGES)
    assert after(spot, 7200, 2 * PAGES, at(0, 23.9), left_over=False) == spot


def test_while_a_day_waits_for_late_commits_the_next_one_is_followed() -> None:
    """What ended after midnight does not wait for the hour to go by."""
    tuesday, now = MONDAY + timedelta(days=1), at(1, 0.5)
    last = Spot(MONDAY, PAGES)
    assert after(last, 3000, 2 * PAGES, now, left_over=False) == last  # none of Tuesday is due yet
    spot = after(last, 1800, 2 * PAGES, now, left_over=False)
    assert spot == Spot(MONDAY, BEYOND)
    assert spot.place == (tuesday, 0)
    assert look(spot, 0, DAYS, now) == spot
    assert look(spot, 3000, DAYS, now) is None
    assert look(spot, 0, {MONDAY: 1000}, now) is None  # there is no Tuesday
    further = after(spot, 0, 2 * PAGES, now, left_over=False)
    assert further.place == (tuesday, PAGES)
    assert after(further, 0, 2 * PAGES, now, left_over=False) == further
    assert look(further, 0, DAYS, at(1, 1)) == Spot(MONDAY, final=True)


@given(
    keep=st.floats(0, 9 * DAY),
    pages=st.lists(st.integers(0, 5 * PAGES), min_size=1, max_size=6),
    hours=st.lists(st.floats(0, 48), min_size=1, max_size=30),
)
def test_no_page_is_passed_by_before_its_day_is_over(
    keep: float, pages: list[int], hours: list[float]
) -> None:
    """However often and whenever it runs, it sees all pages of a day after the day is over."""
    days = {MONDAY + timedelta(days=n): count for n, count in enumerate(pages)}
    seen: set[tuple[date, int]] = set()
    spot, now = Spot(), at(0)
    for pause in [*hours, 10_000.0]:
        now += timedelta(hours=pause)
        while (found := look(spot, keep, days, now)) is not None:
            day, page = found.place
            over = start_of(day) + timedelta(days=1, seconds=keep) <= now
            if over:
                seen.add((day, page))
            goes = after(found, keep, days[day], now, left_over=False)
            if goes == found == spot:
                break
            spot = goes
    wanted = {(day, page) for day, count in days.items() for page in range(0, count or 1, PAGES)}
    assert wanted <= seen


def test_days_are_utcs() -> None:
    assert start_of(MONDAY) == datetime(2026, 11, 2, tzinfo=UTC)
