"""How much to claim: the measurement and the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import ConfigurationError
from tidemill_worker.prefetch import MOST, Prefetch, free_slots, room, worth_claiming


def test_nothing_is_claimed_ahead_before_anything_was_seen_to_finish() -> None:
    assert Prefetch("auto").target(0, 0.0) == 0


def test_short_tasks_are_claimed_in_large_batches_after_the_first_one() -> None:
    assert Prefetch("auto").target(20, 0.001) == MOST


def test_slow_tasks_are_not_hoarded() -> None:
    prefetch = Prefetch("auto")
    targets = [prefetch.target(20 * second, float(second)) for second in range(1, 5)]
    assert targets == [2, 2, 2, 2]


def test_a_worker_whose_tasks_have_become_slow_stops_claiming_ahead() -> None:
    prefetch = Prefetch("auto")
    assert prefetch.target(10_000, 0.1) == MOST
    for tenths in range(1, 4):
        target = prefetch.target(10_000, 0.1 + tenths / 10)
    assert target == 0


def test_time_in_which_no_slot_was_busy_does_not_count() -> None:
    prefetch = Prefetch("auto")
    prefetch.target(10_000, 0.1)
    assert prefetch.target(10_000, 0.1) == MOST  # the database was slow meanwhile, say


def test_a_number_is_kept() -> None:
    assert Prefetch("7").target(10_000, 0.1) == 7


@pytest.mark.parametrize("setting", ["", "some", "-1", "1001", "1.5"])
def test_other_settings_are_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="TIDEMILL_PREFETCH must be `auto` or a number"):
        Prefetch(setting)


@given(
    slots=st.integers(0, 100),
    ahead=st.integers(0, MOST),
    open_runs=st.integers(0, 3000),
    recording=st.integers(0, 3000),
)
def test_room_never_lets_more_be_held_than_slots_and_two_prefetches(
    slots: int, ahead: int, open_runs: int, recording: int
) -> None:
    held = open_runs + recording
    more = room(slots=slots, ahead=ahead, open_runs=open_runs, held=held)
    assert 0 <= more <= MOST
    assert more == 0 or held + more <= slots + 2 * ahead
    assert more == 0 or open_runs + more <= slots + ahead


def test_without_prefetch_a_slot_stays_taken_until_its_outcome_is_recorded() -> None:
    assert room(slots=20, ahead=0, open_runs=15, held=20) == 0
    assert room(slots=20, ahead=0, open_runs=15, held=15) == 5


def test_only_slots_that_nothing_waits_for_are_free() -> None:
    assert free_slots(slots=20, open_runs=15, room=500) == 5
    assert free_slots(slots=20, open_runs=500, room=500) == 0
    assert free_slots(slots=20, open_runs=0, room=3) == 3


def test_a_small_claim_waits_for_the_large_one() -> None:
    assert not worth_claiming(room=20, most=1020, waiting=0, recording=1000)
    assert not worth_claiming(room=20, most=1020, waiting=1000, recording=0)
    assert worth_claiming(room=600, most=1020, waiting=0, recording=1000)
    assert worth_claiming(room=1, most=20, waiting=0, recording=0)
    assert not worth_claiming(room=0, most=20, waiting=0, recording=0)
