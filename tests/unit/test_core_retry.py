"""Retry policies: within bounds, never falling, and valid or told why not."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.retry import JITTER, MAX_DELAY_SECONDS, MIN_DELAY_SECONDS, RetryPolicy

seconds = st.floats(0.001, MAX_DELAY_SECONDS)
exponential = st.builds(
    RetryPolicy, base_seconds=seconds, factor=st.floats(1, 100), max_seconds=seconds
)
fixed = st.builds(RetryPolicy, policy=st.just("fixed"), base_seconds=seconds)
listed = st.builds(
    RetryPolicy,
    policy=st.just("list"),
    delays_seconds=st.lists(st.floats(0, MAX_DELAY_SECONDS), min_size=1, max_size=9).map(tuple),
)
policies = st.one_of(exponential, fixed, listed)
spreads = st.floats(-1, 1)


@given(policies, st.integers(-5, 100_000), spreads)
def test_a_delay_is_finite_and_within_bounds(
    policy: RetryPolicy, failures: int, spread: float
) -> None:
    delay = policy.delay_seconds(failures, lambda: spread)
    assert MIN_DELAY_SECONDS <= delay <= max(1.0, MAX_DELAY_SECONDS * (1 + JITTER))


@given(exponential, st.integers(1, 200))
def test_exponential_delays_grow_to_their_maximum(policy: RetryPolicy, failures: int) -> None:
    now, then = (policy.delay_seconds(n, lambda: 0.0) for n in (failures, failures + 1))
    assert now <= then <= max(MIN_DELAY_SECONDS, policy.max_seconds)


@given(policies, st.integers(1, 100))
def test_jitter_spreads_by_a_quarter(policy: RetryPolicy, failures: int) -> None:
    plain = policy.delay_seconds(failures, lambda: 0.0)
    least, most = (policy.delay_seconds(failures, lambda s=s: s) for s in (-1.0, 1.0))  # type: ignore[misc]  # a default argument in a lambda
    assert least <= plain <= most
    assert most <= max(1.0, plain * (1 + JITTER)) * (1 + 1e-9)
    assert policy.delay_seconds(failures) <= most


def test_the_default_doubles_from_a_second_to_an_hour() -> None:
    delays = [RetryPolicy().delay_seconds(n, lambda: 0.0) for n in (1, 2, 3, 4, 12, 13, 500)]
    assert delays == [1, 2, 4, 8, 2048, 3600, 3600]


def test_a_list_repeats_its_last_delay() -> None:
    policy = RetryPolicy(policy="list", delays_seconds=(5, 60, 300))
    assert [policy.delay_seconds(n, lambda: 0.0) for n in (1, 2, 3, 4, 99)] == [
        5,
        60,
        300,
        300,
        300,
    ]


def test_a_delay_is_never_below_a_second() -> None:
    assert RetryPolicy(policy="fixed", base_seconds=0.01).delay_seconds(1, lambda: -1.0) == 1


@given(policies)
def test_json_keeps_what_matters(policy: RetryPolicy) -> None:
    back = RetryPolicy.from_json(json.loads(json.dumps(policy.to_json())))
    for failures in (1, 2, 5, 50):
        assert back.delay_seconds(failures, lambda: 0.5) == policy.delay_seconds(
            failures, lambda: 0.5
        )
    assert list(back.faults()) == list(policy.faults()) == []


def test_absent_fields_have_their_defaults() -> None:
    assert RetryPolicy.from_json(None) == RetryPolicy.from_json({}) == RetryPolicy()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"policy": "magic"}, "policy"),
        ({"base_seconds": 0}, "base_seconds"),
        ({"base_seconds": math.nan}, "base_seconds"),
        ({"max_seconds": math.inf}, "max_seconds"),
        ({"factor": 0.9}, "factor"),
        ({"factor": 1e9}, "factor"),
        ({"policy": "list"}, "delays_seconds"),
        ({"delays_seconds": (1,)}, "delays_seconds"),
        ({"policy": "list", "delays_seconds": (1, -1)}, "delays_seconds"),
        ({"policy": "list", "delays_seconds": (1,) * 101}, "delays_seconds"),
    ],
)
def test_a_broken_rule_is_named(given: dict[str, Any], field: str) -> None:
    assert [name for name, _, _ in RetryPolicy(**given).faults()] == [field]
