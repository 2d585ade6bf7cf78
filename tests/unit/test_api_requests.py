"""What acts and lists may be asked: cursors, filters, settings, queries."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.acts import Reach
from tidemill.retry import RetryPolicy
from tidemill.states import Status
from tidemill_api.checking import request_of
from tidemill_api.payloads import PayloadCheck
from tidemill_api.problems import Problem
from tidemill_api.requests.bulk import BulkRequest, DeadLettersRequest
from tidemill_api.requests.queries import DeadLetterQuery, TaskQuery, WorkerQuery, cursor_of
from tidemill_api.requests.queues import QueueRequest

SECONDS = st.floats(0, 90_000_000_000)


@given(seconds=SECONDS, task_id=st.uuids())
def test_a_cursor_leads_to_the_very_place(seconds: float, task_id: UUID) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    asked = request_of(DeadLetterQuery, {"cursor": cursor_of((moment, task_id))})
    assert asked.cursor == (moment, task_id)


def refused(model: Any, name: str, text: str) -> Problem | None:
    try:
        request_of(model, {name: text})
    except Problem as problem:
        return problem
    return None


@given(st.text(max_size=60))
def test_any_text_as_a_query_is_taken_or_refused(text: str) -> None:
    for model in (TaskQuery, DeadLetterQuery, WorkerQuery):
        for name in model.model_fields:
            if problem := refused(model, name, text):
                assert problem.status == 400
                assert [fault.field for fault in problem.faults] == [name]


def faults(model: Any, body: dict[str, Any]) -> list[str]:
    with pytest.raises(Problem) as raised:
        request_of(model, body)
    return [fault.field for fault in raised.value.faults]


def test_dead_letters_are_always_sought_among_what_failed() -> None:
    asked = request_of(DeadLettersRequest, {"filter": {"queue": "q"}, "limit": 5})
    assert asked.filter.value().status is Status.FAILED
    assert asked.reach() == Reach(dry_run=False, limit=5, after=None)
    assert faults(DeadLettersRequest, {"filter": {}}) == ["filter"]


def test_a_filter_of_nulls_is_empty() -> None:
    body = {"filter": {"queue": None, "status": None}}
    assert faults(BulkRequest, body) == ["filter"]
    assert request_of(BulkRequest, body | {"all": True}).filter.value().empty


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ({}, {}),
        ({"priority": None}, {"priority": None}),
        ({"rate_limit": None}, {"rate_tasks": None, "rate_seconds": None}),
        ({"rate_limit": {"tasks": 2, "seconds": 3}}, {"rate_tasks": 2, "rate_seconds": 3}),
        ({"retention": {"failed_seconds": None}}, {"failed_seconds": None}),
        (
            {"retention": {}},
            dict.fromkeys(["succeeded_seconds", "failed_seconds", "cancelled_seconds"]),
        ),
        (
            {"retry": {"policy": "fixed", "base_seconds": 2}},
            {"retry": RetryPolicy("fixed", base_seconds=2)},
        ),
    ],
)
def test_settings_of_a_queue_become_its_columns(
    body: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert request_of(QueueRequest, body).changes() == changes


@pytest.mark.parametrize(
    "schema",
    [{"type": "sting"}, {"$schema": 5}, {"properties": []}, {"required": "to"}, {"minimum": "1"}],
)
def test_what_is_no_json_schema_says_why(schema: dict[str, Any]) -> None:
    assert PayloadCheck("t", schema).broken
