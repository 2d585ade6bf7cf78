"""Whose turn it is among queues: weights count, a strict order stays."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tidemill.store.turns import Turns


def turns(weights: dict[int, int], *, strict: bool = False) -> Turns:
    made = Turns(strict=strict)
    made.set(weights)
    return made


@given(st.dictionaries(st.integers(1, 9), st.integers(1, 5), min_size=1))
def test_each_queue_is_first_as_often_as_it_weighs(weights: dict[int, int]) -> None:
    order = turns(weights)
    orders = [order.next() for _ in range(sum(weights.values()))]
    assert Counter(each[0] for each in orders) == weights
    assert all(sorted(each) == sorted(weights) for each in orders)


def test_turns_of_a_heavy_queue_are_spread() -> None:
    order = turns({1: 3, 2: 1})
    assert sorted(order.next()[0] for _ in range(4)) == [1, 1, 1, 2]


def test_a_strict_order_is_always_the_same() -> None:
    order = turns({3: 2, 1: 1, 2: 1}, strict=True)
    assert [order.next() for _ in range(3)] == [[3, 1, 2]] * 3


def test_without_queues_there_is_no_turn() -> None:
    assert turns({}).next() == []


def test_limited_queues_are_claimed_apart_and_the_first_stays_first() -> None:
    order = turns({1: 1})
    assert order.segments([1, 2, 3, 4], {2: None, 4: None}) == [(False, [1, 3]), (True, [2, 4])]
    assert order.segments([2, 1, 4], {2: None, 4: None}) == [(True, [2, 4]), (False, [1])]


def test_a_strict_order_is_not_regrouped() -> None:
    order = turns({1: 1}, strict=True)
    runs = order.segments([1, 2, 3, 4, 5], {2: None, 4: None, 5: None})
    assert runs == [(False, [1]), (True, [2]), (False, [3]), (True, [4, 5])]
