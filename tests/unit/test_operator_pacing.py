"""How soon a failing API server is asked again."""

import pytest

from tidemill_operator.kube_errors import KubeUnavailable, of_answer
from tidemill_operator.pacing import JITTER, LONGEST_ASKED_SECONDS, Backoff


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_waits_double_up_to_the_longest_and_begin_anew_after_a_success(clock: Clock) -> None:
    backoff = Backoff(1.0, 8.0, clock)
    assert backoff.seconds == 0
    for wait in (1, 2, 4, 8, 8):
        backoff.failed(clock.now)
        assert wait * (1 - JITTER) <= backoff.seconds <= wait * (1 + JITTER)
        clock.now += 20
        assert backoff.seconds == 0
    backoff.succeeded()
    backoff.failed(clock.now)
    assert backoff.seconds <= 1 + JITTER


def test_calls_that_failed_together_are_one_failure(clock: Clock) -> None:
    backoff = Backoff(1.0, 64.0, clock)
    begun = clock.now
    clock.now += 3  # all of them began before the first failure was known
    for _ in range(8):
        backoff.failed(begun)
    assert backoff.seconds <= 1 + JITTER


def test_a_server_gets_the_pause_it_asks_for_but_not_for_ever(clock: Clock) -> None:
    backoff = Backoff(1.0, 8.0, clock)
    backoff.failed(clock.now, 5.0)
    assert backoff.seconds == pytest.approx(5)
    backoff.failed(clock.now, 1e9)
    assert backoff.seconds <= LONGEST_ASKED_SECONDS + 2


@pytest.mark.parametrize(
    ("status", "header", "everywhere", "asked"),
    [
        (429, "3", True, 3.0),
        (429, None, True, None),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", True, None),
        (500, None, False, None),  # of one object: a webhook that fails, say
        (504, None, True, None),
    ],
)
def test_an_answer_says_whether_others_would_fare_better(
    status: int, header: str | None, everywhere: bool, asked: float | None
) -> None:
    error = of_answer(status, b"{}", "GET /x", header)
    assert isinstance(error, KubeUnavailable)
    assert (error.everywhere, error.retry_after) == (everywhere, asked)
