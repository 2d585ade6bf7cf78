"""Tokens as values: what is read, what is refused by name, how rates and changes count."""

import pytest
from prometheus_client import CollectorRegistry

from tests.support.tokens import bearer, entry, text_of
from tidemill.errors import ConfigurationError
from tidemill_api.auth.buckets import Bucket
from tidemill_api.auth.entries import parsed
from tidemill_api.auth.guard import Guard
from tidemill_api.auth.metrics import MOST_NAMES, AuthMetrics
from tidemill_api.auth.scopes import Scope
from tidemill_api.auth.source import tokens_in
from tidemill_api.auth.tokens import Rate, digest_of, new_token
from tidemill_api.problems import Problem

SECRET = "tm_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


class Clock:
    """A clock that stands."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "rate"),
    [("100/s", Rate(100, 1)), ("20/10s", Rate(20, 10)), ("5/m", Rate(5, 60))],
)
def test_a_rate_is_requests_per_time(text: str, rate: Rate) -> None:
    assert Rate.of(text) == rate


@pytest.mark.parametrize("text", ["0/s", "1", "1/d", "-1/s", "1/0s", "1.5/s", "1/s "])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="requests per time"):
        Rate.of(text)


def test_a_bucket_admits_its_rate_and_says_how_long_to_wait() -> None:
    clock = Clock()
    bucket = Bucket(Rate(2, 10), clock)
    assert [bucket.draw(), bucket.draw()] == [0, 0]
    assert bucket.draw() == pytest.approx(5)
    clock.now = 4
    assert bucket.draw() == pytest.approx(1)
    clock.now = 5.001
    assert bucket.draw() == 0
    clock.now = 1000
    assert [bucket.draw(), bucket.draw()] == [0, 0]
    assert bucket.draw() > 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"name": SECRET * 2}, "tokens[0].name: must match"),
        ({"sha256": SECRET}, "tokens[0].sha256: must match"),
        ({"scopes": []}, "tokens[0].scopes: must have at least 1"),
        ({"scopes": [SECRET]}, "tokens[0].scopes[0]: must be one of enqueue"),
        ({"scopes": ["open"]}, "tokens[0].scopes[0]: must be one of enqueue"),
        ({"queues": []}, "tokens[0].queues: must have at least 1"),
        ({"queues": ["*"]}, "tokens[0].queues[0]: must match"),
        ({"rate": SECRET}, "tokens[0].rate: must be requests per time"),
        ({"expires_at": SECRET}, "tokens[0].expires_at: must be an ISO 8601 time"),
        ({SECRET: 1}, "is not a known field"),
    ],
)
def test_a_fault_names_field_and_rule_and_never_the_value(
    more: dict[str, object], told: str
) -> None:
    text = text_of({**entry("ci", "read"), **more})
    with pytest.raises(ConfigurationError) as refused:
        parsed(text.encode(), "TIDEMILL_TOKENS")
    assert str(refused.value).startswith("TIDEMILL_TOKENS: ")
    assert told in str(refused.value)
    assert SECRET not in str(refused.value)


def test_one_digest_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"tokens\[1\].sha256: must not be there twice"):
        parsed(text_of(entry("a", "read", token="x"), entry("b", "read", token="x")).encode(), "f")


def test_a_token_is_long_and_no_part_of_what_is_kept_of_it() -> None:
    token = new_token()
    assert token.startswith("tm_")
    assert len(token) >= 43
    [known] = tokens_in(text_of(entry("ci", "read", token=token)).encode(), "f")
    assert known.digest == digest_of(token)
    assert token not in repr(known)


def status(guard: Guard, token: str) -> int:
    """Return what a request with this token is answered."""
    try:
        guard.admit(bearer(token), Scope.READ)
    except Problem as problem:
        return problem.status
    return 200


def test_a_token_ends_when_its_time_has_come() -> None:
    clock = Clock()
    text = text_of(entry("ci", "read", expires_at="2030-01-01T00:00:00Z"))
    guard = Guard(tokens_in(text.encode(), "f"), clock=clock)
    clock.now = 1_893_455_999
    assert status(guard, "ci") == 200
    clock.now += 1
    assert status(guard, "ci") == 401


def test_a_change_of_tokens_gives_nobody_a_new_allowance() -> None:
    limited = tokens_in(text_of(entry("ci", "read", rate="1/h")).encode(), "f")
    more = tokens_in(text_of(entry("ci", "read", rate="2/h"), entry("b", "read")).encode(), "f")
    guard = Guard(limited)
    assert [status(guard, "ci"), status(guard, "ci")] == [200, 429]
    guard.replace([*limited, more[1]])
    assert [status(guard, "ci"), status(guard, "b")] == [429, 200]
    guard.replace(more)
    assert status(guard, "ci") == 200
    guard.replace([])
    assert status(guard, "ci") == 401


def test_metrics_tell_only_so_many_names() -> None:
    registry = CollectorRegistry()
    metrics = AuthMetrics(registry)
    for place in range(MOST_NAMES + 5):
        metrics.admit(f"n{place}")
    other = registry.get_sample_value(
        "tidemill_api_authenticated_requests_total", {"token": "other"}
    )
    assert other == 5
