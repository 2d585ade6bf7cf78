"""Declaring cron schedules in an app."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tidemill import App, RetryPolicy
from tidemill.errors import ConfigurationError
from tidemill.schedules import SLOT_HEADER, NewSchedule


def app_with_task() -> tuple[App, Any]:
    app = App()

    @app.task(queue="reports")
    async def report(day: str, copies: int = 1) -> str:
        return day * copies

    return app, report


def test_a_schedule_of_a_task_of_the_app() -> None:
    app, report = app_with_task()
    end = datetime(2030, 1, 1, tzinfo=UTC)
    retry = RetryPolicy(policy="fixed")
    app.schedule(
        "nightly",
        cron="0 3 * * *",
        time_zone="Europe/Rome",
        task=report,
        payload={"day": "today"},
        priority="high",
        retry=retry,
        missed="skip",
        ends_at=end,
    )
    assert app.schedules == [
        NewSchedule(
            name="nightly",
            cron="0 3 * * *",
            time_zone="Europe/Rome",
            type="report",
            payload={"day": "today"},
            priority=100,
            retry=retry,
            missed="skip",
            ends_at=end,
        )
    ]


def test_a_schedule_of_a_type_by_its_name() -> None:
    app = App()
    app.schedule("hourly", cron="@hourly", task="of.another:app", payload={"any": "thing"})
    assert [each.type for each in app.schedules] == ["of.another:app"]


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"cron": "every day"}, "cron: must have 5 fields"),
        ({"time_zone": "Rome"}, "time_zone: must be an IANA time zone"),
        ({"name": "a/b"}, "name: must be a name"),
        ({"queue": "a/b"}, "queue: must be a name"),
        ({"payload": {}}, "payload.day"),
        ({"payload": {"day": "x", "copies": "many"}}, "payload.copies"),
        ({"payload": {"day": object()}}, "payload: must be JSON"),
        ({"priority": "urgent"}, "priority:? must be a number or one of"),
        ({"missed": "all"}, "missed: must be one of once, skip"),
        ({"ends_at": datetime(2030, 1, 1)}, "ends_at: must have a time zone"),  # noqa: DTZ001 - its subject
    ],
)
def test_what_cannot_work_is_refused_where_it_is_declared(said: dict[str, Any], rule: str) -> None:
    app, report = app_with_task()
    given: dict[str, Any] = {"name": "s", "cron": "@daily", "task": report, "payload": {"day": "x"}}
    given |= said
    with pytest.raises(ConfigurationError, match=rule):
        app.schedule(given.pop("name"), **given)
    assert app.schedules == []


def test_a_name_is_declared_once() -> None:
    app, report = app_with_task()
    app.schedule("s", cron="@daily", task=report, payload={"day": "x"})
    with pytest.raises(ConfigurationError, match="'s' must be unique"):
        app.schedule("s", cron="@hourly", task=report, payload={"day": "x"})


def test_the_slot_goes_to_the_task_in_utc_and_the_own_headers_win() -> None:
    said = NewSchedule(name="s", cron="@daily", type="t", headers={SLOT_HEADER: "mine", "a": "b"})
    slot = datetime.fromisoformat("2026-03-29T03:00:00+02:00")
    assert said.task(slot).headers == {
        "a": "b",
        "tidemill-schedule": "s",
        "tidemill-slot": "2026-03-29T01:00:00Z",
    }
