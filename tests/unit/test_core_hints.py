"""Claim hints: near where the last claim ended, and never blind for long."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.models import ClaimedTask, Lease
from tidemill.retry import RetryPolicy
from tidemill.store.hints import (
    GUARD_EVERY,
    MOST_PRIORITIES,
    SHARE,
    TRAIL,
    WHOLE_SECONDS,
    WHOLE_SHARE,
    ClaimHints,
)
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
        self.hints.start(self.now)
        plan = self.hints.plan(self.turns, NAMES)
        began, self.now = self.now, self.now + self.cost
        full = len(found) if limit is None else limit
        self.hints.learn(plan, found, full, began, self.now)
        return plan


def test_the_first_look_is_at_everything() -> None:
    plan = Clock(turns=[1, 2, 3]).claim(limit=10)
    assert set(plan.whole) == {1, 2, 3}
    assert plan.ranges == ()


def test_a_claim_is_followed_by_one_near_its_end_and_between_the_known_priorities() -> None:
    clock = Clock()
    clock.claim(task(1, 0, 90_000), task(1, 0, 90_007), task(1, 5, 10, lane=0), task(1, 6, 1))
    plan = clock.claim()
    assert plan.whole == ()
    assert plan.ranges == (
        Range(1, 32768, None, 0, beyond=6),
        Range(1, 6, 0, 0),
        Range(1, 6, 1, 0),
        Range(1, 5, 0, 0),
        Range(1, 5, 1, 0),
        Range(1, 5, None, 0, beyond=0),
        Range(1, 0, 0, 0),
        Range(1, 0, 1, 90_007 - TRAIL),
        Range(1, 0, None, 0, beyond=-32769),
    )


def test_a_floor_never_goes_back() -> None:
    clock = Clock()
    clock.claim(task(1, 0, 90_000))
    clock.claim(task(1, 0, 86_000), task(1, 0, 3, lane=0))
    assert Range(1, 0, 1, 90_000 - TRAIL) in clock.claim().ranges


@settings(deadline=None)
@given(st.booleans())
def test_known_queues_are_read_whole_once_a_second(short: bool) -> None:
    clock = Clock(cost=0.001)
    limit = 5 if short else None
    wholes = [clock.now for seq in range(3000) if clock.claim(task(1, 0, seq), limit=limit).whole]
    assert len(wholes) == 3
    assert all(later - sooner >= WHOLE_SECONDS for sooner, later in pairwise(wholes))


@settings(deadline=None)
@given(st.floats(0.001, 5))
def test_reading_whole_takes_little_of_the_time(cost: float) -> None:
    clock = Clock(0.0)
    spent = 0.0
    for _ in range(400):
        clock.now += cost * 20
        clock.hints.start(clock.now)
        plan = clock.hints.plan([1], NAMES)
        began, clock.now = clock.now, clock.now + cost * bool(plan.whole)
        clock.hints.learn(plan, [task(1, 0, 1)], 1, began, clock.now)
        spent += clock.now - began
    assert spent <= WHOLE_SHARE * (clock.now - 100.0) + 2 * cost


@settings(deadline=None)
@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=100))
def test_ranges_cover_every_priority_once_and_are_bounded(priorities: list[int]) -> None:
    clock = Clock()
    for priority in priorities:
        clock.claim(task(1, priority, 1))
    ranges = clock.hints._ranges(1)
    assert len(ranges) <= 3 * MOST_PRIORITIES + 1
    assert [each.priority for each in ranges] == sorted(
        (each.priority for each in ranges), reverse=True
    )
    covered: list[int] = []
    for each in ranges:
        if each.lane is None:
            assert each.beyond is not None
            covered += range(each.priority - 1, each.beyond, -1)
        elif each.lane == 0:
            covered.append(each.priority)
    assert covered == list(range(32767, -32769, -1))


def test_a_queue_not_claimed_from_yet_gets_its_turn_while_another_is_busy() -> None:
    clock = Clock(turns=[1, 2, 3])
    clock.claim(task(1, 0, 1))
    plans = [plan for plan in (clock.claim(task(1, 0, n)) for n in range(200)) if plan.whole]
    assert clock.now < 100 + WHOLE_SECONDS
    assert {plan.whole[0] for plan in plans} == {2, 3}
    assert all(set(plan.whole) <= {2, 3} for plan in plans)
    assert all({each.queue_id for each in plan.ranges} == {1} for plan in plans)


def test_without_queues_there_is_nothing_to_look_at() -> None:
    clock = Clock(turns=[])
    assert clock.claim() == ClaimPlan(names=NAMES)


def test_a_strict_order_stays_even_with_queues_not_claimed_from_yet() -> None:
    clock = Clock(turns=[3, 1, 2])
    clock.hints = ClaimHints(strict=True)
    wholes = {clock.claim(task(2, 0, 1)).whole for _ in range(100)}
    assert wholes == {(3, 1, 2), ()}


def test_what_is_due_is_due_for_every_run_of_a_claim() -> None:
    hints = ClaimHints(strict=True)
    for began in (0.0, 100.0):
        hints.start(began)
        for queue in (1, 2):
            plan = hints.plan([queue], NAMES)
            assert plan.whole == (queue,)
            hints.learn(plan, [], 1, began, began + 0.1)
    hints.start(100.2)
    assert hints.plan([1], NAMES).whole == ()


def test_starved_tasks_are_looked_for_after_twenty_full_claims_only() -> None:
    clock = Clock()
    for seq in range(GUARD_EVERY):
        clock.claim(task(1, 0, seq))
        assert clock.hints.guard([1], NAMES) is None
    clock.hints.start(clock.now)
    assert clock.hints.guard([1], NAMES) == ClaimPlan(guarded=(1,), names=NAMES)
    clock.hints.learn_guard(clock.now, clock.now)
    clock.claim(task(1, 0, 1))
    assert clock.hints.guard([1], NAMES) is None


def test_a_short_claim_has_left_nothing_starving() -> None:
    clock = Clock()
    for seq in range(GUARD_EVERY):
        clock.claim(task(1, 0, seq))
    clock.claim(limit=5)
    clock.hints.start(clock.now)
    assert clock.hints.guard([1], NAMES) is None


@settings(deadline=None)
@given(st.floats(0.001, 5))
def test_looking_for_starved_tasks_takes_a_twentieth_of_the_time_at_most(cost: float) -> None:
    clock = Clock(0.0001)
    start, spent = clock.now, 0.0
    for seq in range(2000):
        clock.claim(task(1, 0, seq))
        if clock.hints.guard([1], NAMES):
            began, clock.now = clock.now, clock.now + cost
            clock.hints.learn_guard(began, clock.now)
            spent += cost
    assert spent <= SHARE * (clock.now - start) + 2 * cost


def test_a_queue_that_a_full_claim_did_not_come_to_is_read_at_once() -> None:
    hints = ClaimHints()
    hints.start(0.0)
    hints.learn(hints.plan([3], NAMES), [], 1, 0.0, 1.0)
    hints.start(100.0)
    plan = hints.plan([1, 2], NAMES)
    front, behind = plan.whole
    hints.learn(plan, [task(front, 0, 1)], 1, 100.0, 101.0)
    hints.start(101.0)
    plan = hints.plan([1, 2], NAMES)
    assert behind in plan.whole
    hints.learn(plan, [], 1, 101.0, 102.0)
    hints.start(102.0)
    assert hints.plan([1, 2], NAMES).whole == ()
