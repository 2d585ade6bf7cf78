"""Claim hints: near where the last claim ended, and never blind for long."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from tidemill.models import ClaimedTask, Lease
from tidemill.retry import RetryPolicy
from tidemill.store.hints import GUARD_EVERY, MOST_PRIORITIES, TRAIL, WHOLE_SECONDS, ClaimHints
from tidemill.store.leases import ClaimPlan, Range

NAMES = {1: "a", 2: "b", 3: "c"}


def task(queue: int, priority: int, seq: int, lane: int = 1) -> ClaimedTask:
    return ClaimedTask(
        lease=Lease(uuid4(), 1),
        has_body=True,
        expired=False,
        type="t",
        name=None,
        queue=NAMES[queue],
        queue_id=queue,
        priority=priority,
        seq=seq,
        lane=lane,
        payload={},
        headers=None,
        retry_count=0,
        crash_count=0,
        max_retries=0,
        timeout_seconds=1,
        lease_seconds=1,
        retry=RetryPolicy(),
        created_at=None,
        expires_at=None,
    )


class Clock:
    """Hints under a clock of the test's: each claim takes `cost` seconds."""

    def __init__(self, cost: float = 0.001, turns: Sequence[int] = (1,)) -> None:
        self.hints = ClaimHints()
        self.turns = turns
        self.now = 100.0
        self.cost = cost

    def claim(self, *found: ClaimedTask, limit: int | None = None) -> ClaimPlan:
        plan = self.hints.plan(self.turns, NAMES, self.now)
        began, self.now = self.now, self.now + self.cost
        full = len(found) if limit is None else limit
        self.hints.learn(plan, found, full, began, self.now)
        return plan


def test_the_first_look_is_at_everything() -> None:
    plan = Clock(turns=[1, 2, 3]).claim(limit=10)
    assert set(plan.whole) == {1, 2, 3}
    assert plan.ranges == ()


def test_a_full_claim_is_followed_by_one_near_its_end() -> None:
    clock = Clock()
    clock.claim(task(1, 0, 90_000), task(1, 0, 90_007), task(1, 5, 10, lane=0))
    plan = clock.claim()
    assert plan.whole == ()
    assert plan.ranges == (
        Range(1, 5, 0, 0),
        Range(1, 5, 1, 0),
        Range(1, 0, 0, 0),
        Range(1, 0, 1, 90_007 - TRAIL),
    )


def test_a_floor_never_goes_back() -> None:
    clock = Clock()
    clock.claim(task(1, 0, 90_000))
    clock.claim(task(1, 0, 86_000), task(1, 0, 3, lane=0))
    assert clock.claim().ranges[1] == Range(1, 0, 1, 90_000 - TRAIL)


def test_a_busy_queue_is_read_whole_once_a_second() -> None:
    clock = Clock(cost=0.01)
    wholes = [clock.now for seq in range(300) if clock.claim(task(1, 0, seq)).whole]
    assert len(wholes) == 3
    assert all(later - sooner >= WHOLE_SECONDS for sooner, later in pairwise(wholes))


@given(st.floats(0.001, 5))
def test_reading_whole_takes_a_twentieth_of_the_time_at_most(cost: float) -> None:
    clock = Clock(cost)
    clock.claim(task(1, 0, 1))
    start, spent = clock.now, 0.0
    for _ in range(400):
        spent += clock.cost * bool(clock.claim(limit=10).whole)
        clock.hints.look_everywhere()
    assert spent <= 0.05 * (clock.now - start) + cost


def test_a_short_claim_and_a_hint_look_everywhere_soon() -> None:
    clock = Clock()
    clock.claim(task(1, 0, 1))
    clock.now += 0.1
    assert clock.claim(task(1, 0, 2)).whole == ()
    clock.hints.look_everywhere()
    assert clock.claim(limit=10).whole != ()
    clock.now += 0.1
    assert clock.claim(limit=10).whole != ()


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=100))
def test_priorities_are_ordered_and_bounded(priorities: list[int]) -> None:
    clock = Clock()
    for priority in priorities:
        clock.claim(task(1, priority, 1))
    ranges = clock.hints._ranges(1)
    assert len(ranges) <= 2 * MOST_PRIORITIES
    assert [each.priority for each in ranges] == sorted(
        (each.priority for each in ranges), reverse=True
    )
    assert priorities[-1] in {each.priority for each in ranges}
    assert len({(each.priority, each.lane) for each in ranges}) == len(ranges)


def test_a_queue_not_claimed_from_yet_gets_its_turn_while_another_is_busy() -> None:
    clock = Clock(turns=[1, 2, 3])
    clock.claim(task(1, 0, 1))
    firsts = {
        plan.whole[0] for plan in (clock.claim(task(1, 0, n)) for n in range(200)) if plan.whole
    }
    assert clock.now < 100 + WHOLE_SECONDS
    assert firsts == {2, 3}


def test_without_queues_there_is_nothing_to_look_at() -> None:
    assert ClaimHints().plan([], {}, 0.0) == ClaimPlan()


def test_a_strict_order_stays_even_with_queues_not_claimed_from_yet() -> None:
    hints = ClaimHints(strict=True)
    for now in range(10):
        plan = hints.plan([3, 1, 2], NAMES, float(now))
        hints.learn(plan, [task(2, 0, 1)], 1, now, now)
        assert plan.whole in {(3, 1, 2), ()}


def test_starved_tasks_are_looked_for_after_twenty_full_claims_only() -> None:
    clock = Clock()
    for seq in range(GUARD_EVERY):
        assert clock.hints.guard([1], NAMES, clock.now) is None
        clock.claim(task(1, 0, seq))
    plan = clock.hints.guard([1], NAMES, clock.now)
    assert plan == ClaimPlan(guarded=(1,), names=NAMES)
    clock.hints.learn_guard(clock.now, clock.now)
    assert clock.hints.guard([1], NAMES, clock.now) is None


def test_a_short_claim_has_left_nothing_starving() -> None:
    clock = Clock()
    for seq in range(GUARD_EVERY):
        clock.claim(task(1, 0, seq))
    clock.claim(limit=5)
    assert clock.hints.guard([1], NAMES, clock.now) is None


@given(st.floats(0.001, 5))
def test_looking_for_starved_tasks_takes_a_twentieth_of_the_time_at_most(cost: float) -> None:
    clock = Clock(0.0001)
    start, spent = clock.now, 0.0
    for seq in range(2000):
        clock.claim(task(1, 0, seq))
        if clock.hints.guard([1], NAMES, clock.now):
            began, clock.now = clock.now, clock.now + cost
            clock.hints.learn_guard(began, clock.now)
            spent += cost
    assert spent <= 0.05 * (clock.now - start) + cost
