"""Who of several operators acts: judged from a Lease and for how long it was seen as it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_operator.leadership import (
    DEADLINE_SECONDS,
    LEASE_SECONDS,
    LOOK_SECONDS,
    RENEW_SECONDS,
    Act,
    held,
    judge,
    released,
    sighting,
)


def lease(holder: str, **spec: Any) -> dict[str, Any]:
    found = held("l", "n", holder, 4, None)
    return {**found, "spec": {**found["spec"], **spec}}


def test_there_is_time_to_renew_twice_and_a_holder_stops_before_another_begins() -> None:
    assert 2 * RENEW_SECONDS <= DEADLINE_SECONDS
    assert DEADLINE_SECONDS + LOOK_SECONDS < LEASE_SECONDS


def test_without_a_lease_one_is_made_and_ones_own_is_renewed() -> None:
    assert judge("me", None, 0.0) is Act.CREATE
    assert judge("me", sighting(None, lease("me"), 0.0), 1000.0) is Act.RENEW


def test_one_that_was_let_go_is_taken_at_once() -> None:
    seen = sighting(None, released(lease("other")), 10.0)
    assert judge("me", seen, 10.0) is Act.TAKE
    assert seen is not None
    assert seen.term == 4


def test_anothers_is_taken_when_it_was_seen_unchanged_for_its_time() -> None:
    seen = sighting(None, lease("other"), 10.0)
    assert judge("me", seen, 24.9) is Act.WAIT
    assert judge("me", sighting(seen, lease("other", renewTime="later"), 24.9), 30.0) is Act.WAIT
    again = sighting(seen, seen.body if seen else None, 24.9)
    assert judge("me", again, 25.0) is Act.TAKE


@given(renewed=st.sampled_from(["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "?", None]))
def test_the_clock_of_its_holder_says_nothing(renewed: str | None) -> None:
    seen = sighting(None, lease("other", renewTime=renewed, acquireTime=renewed), 100.0)
    assert judge("me", seen, 100.0) is Act.WAIT
    assert judge("me", seen, 100.0 + LEASE_SECONDS) is Act.TAKE


@pytest.mark.parametrize("spec", [{}, None, {"holderIdentity": None}])
def test_one_that_says_nothing_is_taken(spec: dict[str, Any] | None) -> None:
    body = {"metadata": {"name": "l", "namespace": "n"}, "spec": spec}
    assert judge("me", sighting(None, body, 0.0), 0.0) is Act.TAKE


def test_one_that_would_last_for_days_is_waited_for_a_minute() -> None:
    seen = sighting(None, lease("other", leaseDurationSeconds=999_999), 0.0)
    assert judge("me", seen, 59.0) is Act.WAIT
    assert judge("me", seen, 60.0) is Act.TAKE


def test_a_renewal_keeps_when_it_was_acquired_and_what_else_is_on_the_lease() -> None:
    before = lease("me", acquireTime="then")
    before["metadata"] |= {"resourceVersion": "7", "labels": {"a": "b"}}
    after = held("l", "n", "me", 4, before)
    assert after["spec"]["acquireTime"] == "then"
    assert after["metadata"] == before["metadata"]
    assert held("l", "n", "other", 5, before)["spec"]["acquireTime"] != "then"
