"""How many Events of one reason are posted for a TaskQueue that flaps."""

from tidemill_operator.event_limits import AT_ONCE, SECONDS_EACH, EventLimits


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_flaps_every_second_for_an_hour_is_told_seventy_times() -> None:
    clock = Clock()
    limits, told = EventLimits(clock), 0
    for _ in range(3600):
        told += limits.admit("TargetNotFound", "gone") is not None
        clock.now += 1
    assert AT_ONCE + 3600 // SECONDS_EACH - 1 <= told <= AT_ONCE + 3600 // SECONDS_EACH + 1


def test_the_next_one_says_how_many_were_kept_back() -> None:
    clock = Clock()
    limits = EventLimits(clock)
    assert {limits.admit("Scaled", "0 -> 1") for _ in range(AT_ONCE)} == {"0 -> 1"}
    assert [limits.admit("Scaled", "1 -> 0") for _ in range(3)] == [None] * 3
    clock.now += SECONDS_EACH + 0.1  # sums of fractions may fall just short of one
    assert limits.admit("Scaled", "0 -> 2") == "0 -> 2 (after 3 more that were not told)"
    clock.now += SECONDS_EACH * AT_ONCE
    assert limits.admit("Scaled", "2 -> 0") == "2 -> 0"


def test_one_reason_takes_nothing_from_another() -> None:
    limits = EventLimits(Clock())
    for _ in range(AT_ONCE + 1):
        limits.admit("Scaled", "0 -> 1")
    assert limits.admit("ScalerConflict", "kubectl set the replicas") == "kubectl set the replicas"
