"""Where searches for due rows start: past what is emptied, and never blind for long."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.store.floors import SHARE, TRAIL, Floor

AT = datetime(2030, 1, 1, tzinfo=UTC)


def search(floor: Floor, now: float, cost: float = 1.0, *, complete: bool = True) -> object:
    """Search at `now` seconds; return from where."""
    start = floor.start(now)
    floor.learn(AT + timedelta(seconds=now), now, now + cost, complete=complete)
    return start


def test_the_first_search_begins_at_the_start() -> None:
    assert search(Floor(), 0.0) is None


def test_where_it_is_dear_the_next_one_starts_a_minute_before_the_last() -> None:
    floor = Floor()
    search(floor, -2.0)
    search(floor, 0.0)
    assert search(floor, 5.0) == AT - TRAIL
    assert search(floor, 10.0) == AT + timedelta(seconds=5) - TRAIL


def test_what_a_search_left_is_not_passed_by() -> None:
    floor = Floor()
    search(floor, -2.0, complete=False)
    search(floor, 0.0, complete=False)
    assert search(floor, 5.0) is None
    search(floor, 10.0, complete=True)
    assert search(floor, 11.0, complete=False) == AT + timedelta(seconds=10) - TRAIL
    assert search(floor, 12.0) == AT + timedelta(seconds=10) - TRAIL


def test_where_it_is_cheap_every_search_begins_at_the_start() -> None:
    floor = Floor()
    assert [search(floor, now / 2, 0.001) for now in range(20)] == [None] * 20


@settings(deadline=None)
@given(st.floats(0.001, 10), st.floats(0.1, 10))
def test_searches_from_the_start_take_a_twentieth_of_the_time(cost: float, pause: float) -> None:
    floor, now, spent = Floor(), 0.0, 0.0
    for _ in range(200):
        whole = floor.start(now) is None
        took = cost if whole else 0.0
        floor.learn(AT, now, now + took, complete=True)
        spent += took
        now += took + pause
    assert spent <= SHARE * now + 2 * cost
