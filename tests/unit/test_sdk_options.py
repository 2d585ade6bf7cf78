"""Options of the wrong kind: told by name, rule and value, never by a bare TypeError."""

from typing import Any

import pytest

from tidemill import App, RetryPolicy
from tidemill.errors import ConfigurationError

Wrong = Any


async def send() -> None: ...


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("name", 5, "must match"),
        ("queue", ["emails"], "must match"),
        ("priority", 1.5, "must be -32768 to 32767, a whole number"),
        ("priority", True, "must be -32768 to 32767, a whole number"),
        ("max_retries", "3", "must be 0 to 1000, a whole number"),
        ("timeout_seconds", "5m", "must be above 0, a number of seconds such as 300"),
        ("timeout_seconds", float("nan"), "must be above 0, a number of seconds such as 300"),
        ("retry", 5, "must be a RetryPolicy, which says when to retry; how often is max_retries"),
        ("retry_on", ConnectionError, "must be a tuple of exception classes"),
        ("discard_on", ("ValueError",), "must be a tuple of exception classes"),
        ("isolation", {"process"}, 'must be "process" or left out'),
        ("concurrency", "2", "must be 1 to 10000, a whole number"),
        ("max_memory_mb", 512.5, "must be 16 to 1000000, a whole number"),
    ],
)
def test_an_option_of_a_task_is_refused_by_name_rule_and_value(
    option: str, value: Wrong, rule: str
) -> None:
    task: Wrong = App().task
    with pytest.raises(ConfigurationError) as refused:
        task(**{option: value})(send)
    assert f"{option} {rule}" in str(refused.value)
    assert str(refused.value).endswith(f"(got {value!r})")


def test_a_retry_policy_that_breaks_a_rule_is_refused_where_the_task_is_declared() -> None:
    def policy(**given: Wrong) -> RetryPolicy:
        return RetryPolicy(**given)

    with pytest.raises(ConfigurationError, match=r"'send': retry.base_seconds must .*got '1m'"):
        App().task(retry=policy(base_seconds="1m"))(send)
    with pytest.raises(ConfigurationError, match=r"retry.delays_seconds must be a tuple"):
        App().task(retry=policy(policy="list", delays_seconds=5))(send)


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("settings", {"app": "x"}, "must be a tidemill.settings.Settings"),
        ("middleware", object, "must be a list of Middleware objects"),
        ("middleware", [print], "must be a list of Middleware objects"),
        ("redact", "password", "must be a function of a text"),
        ("client", "http://localhost:8080", "must be a Client or an HttpClient"),
    ],
)
def test_an_option_of_an_app_is_refused_by_name_rule_and_value(
    option: str, value: Wrong, rule: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        App(**{option: value})
    assert str(refused.value) == f"App: {option} {rule} (got {value!r})"


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("cron", 5, 'must be a text, such as "0 3 * * *"'),
        ("task", print, "must be a task of the app, or a type's name"),
        ("task", None, "must be given"),
        ("time_zone", None, "must be given"),
        ("payload", [1], "must be a dict"),
        ("queue", 1, "must be a queue's name"),
        ("retry", "fixed", "must be a RetryPolicy"),
        ("headers", "x", "must be a dict of texts"),
        ("ends_at", "2030-01-01", "must be a datetime with a time zone"),
    ],
)
def test_an_option_of_a_schedule_is_refused_by_name_rule_and_value(
    option: str, value: Wrong, rule: str
) -> None:
    given: dict[str, Any] = {"cron": "0 3 * * *", "task": "send", option: value}
    with pytest.raises(ConfigurationError) as refused:
        App().schedule("nightly", **given)
    assert str(refused.value).startswith(f"schedule 'nightly': {option} {rule}")
    assert str(refused.value).endswith(f"(got {value!r})")


def test_a_schedule_without_a_name_is_refused() -> None:
    schedule: Wrong = App().schedule
    with pytest.raises(ConfigurationError, match="a schedule: name must be a text"):
        schedule(5, cron="0 3 * * *", task="send")
