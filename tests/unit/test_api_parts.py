"""Small parts: shared loads, shapes, problems, the body budget, metric labels, draining."""

import asyncio
import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from tidemill import errors
from tidemill.db import Database
from tidemill.errors import Fault, Overloaded
from tidemill.models import Task
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill_api import metrics
from tidemill_api.budget import BodyBudget
from tidemill_api.encoding import encoded
from tidemill_api.health import Health
from tidemill_api.metrics import ApiMetrics
from tidemill_api.pace import Pace
from tidemill_api.problems import Problem, internal, problem_of, response_of
from tidemill_api.responses.tasks import TaskAnswer
from tidemill_api.shapes import tasks as shapes
from tidemill_api.single import Shared


class Loads:
    """A load that can be held back, made to fail, and counted."""

    def __init__(self) -> None:
        self.count = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.count += 1
        number = self.count
        await self.gate.wait()
        if self.error:
            raise self.error
        return number


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_fresh_value_is_not_loaded_again() -> None:
    loads, clock = Loads(), Clock()
    shared = Shared(loads, clock)
    assert await shared.get(1.0) == 1
    clock.now = 1.0
    assert await shared.get(1.0) == 1
    clock.now = 1.01
    assert await shared.get(1.0) == 2


async def test_all_who_ask_at_once_share_one_load() -> None:
    loads, clock = Loads(), Clock()
    shared = Shared(loads, clock)
    assert await asyncio.gather(*(shared.get(1.0) for _ in range(20))) == [1] * 20


async def test_age_zero_sees_what_was_there_when_asked() -> None:
    loads, clock = Loads(), Clock()
    loads.gate.clear()
    shared = Shared(loads, clock)
    early = asyncio.create_task(shared.get(0))
    await asyncio.sleep(0)
    clock.now = 0.5  # the load in progress may have looked before this
    late = [asyncio.create_task(shared.get(0)) for _ in range(5)]
    await asyncio.sleep(0)
    loads.gate.set()
    assert await early == 1
    assert await asyncio.gather(*late) == [2] * 5


async def test_a_failure_is_shared_and_not_kept() -> None:
    loads, clock = Loads(), Clock()
    loads.error = OSError("away")
    shared = Shared(loads, clock)
    results = await asyncio.gather(*(shared.get(1) for _ in range(9)), return_exceptions=True)
    assert {type(result) for result in results} == {OSError}
    assert loads.count == 1
    clock.now = 0.1
    loads.error = None
    assert await shared.get(1) == 2


def test_one_line_a_second_of_each_kind() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert [pace.admits("a"), pace.admits("a"), pace.admits("b")] == [True, False, True]
    clock.now = 0.99
    assert not pace.admits("a")
    clock.now = 1.0
    assert [pace.admits("a"), pace.admits("a")] == [True, False]


TASK = Task(
    id=UUID(int=1),
    name="n",
    type="t",
    queue="q",
    status=Status.FAILED,
    priority=1,
    payload={"a": None},
    headers=None,
    idempotency_key=None,
    retry={"policy": "fixed", "base_seconds": 1},
    retry_count=3,
    crash_count=0,
    max_retries=3,
    timeout_seconds=0.5,
    created_at=datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
    run_at=datetime(2030, 1, 1, tzinfo=UTC),
    expires_at=None,
    started_at=datetime(2030, 1, 1, 0, 0, 1, 5, tzinfo=UTC),
    completed_at=datetime(2030, 1, 1, 0, 0, 2, tzinfo=UTC),
    worker_id=7,
    cancel_requested_at=None,
    last_error={"type": "ValueError", "message": "bad\nsecond line", "traceback": "…"},
    result=None,
)


def test_a_task_as_json() -> None:
    shown = json.loads(encoded(shapes.task_json(TASK)))
    assert shown["created_at"] == "2030-01-01T10:00:00Z"
    assert shown["started_at"] == "2030-01-01T00:00:01.000005Z"
    assert shown["last_error"] == "ValueError: bad"
    assert shown["last_error_detail"]["traceback"] == "…"
    assert shown["status"] == "failed"
    assert shown.keys() == TaskAnswer.model_fields.keys()
    fields = {field.name for field in dataclasses.fields(Task)}
    assert shown.keys() == fields | {"last_error_detail"}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (None, None),
        ({}, None),
        ({"type": "Timeout"}, "Timeout"),
        ({"message": "m"}, "m"),
        ({"type": "E", "message": 3}, "E: 3"),
        ({"other": 1}, "unknown error"),
    ],
)
def test_an_error_as_one_line(error: dict[str, Any] | None, line: str | None) -> None:
    assert shapes.error_text(error) == line


def test_what_python_can_hold_and_json_cannot_is_still_json() -> None:
    assert json.loads(encoded({"n": float("inf"), "i": 10**30})) == {"n": None, "i": 10**30}
    assert json.loads(encoded({"s": "a\ud800"}))["s"]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.InvalidTask(Fault("a", "b")), 400, "invalid-task"),
        (errors.UnknownType(Fault("type", "b")), 400, "unknown-type"),
        (errors.TaskNotFound("x"), 404, "task-not-found"),
        (errors.QueueNotFound("x"), 404, "not-found"),
        (errors.IdempotencyConflict("x"), 409, "idempotency-conflict"),
        (errors.Conflict("x"), 409, "conflict"),
        (errors.QueueFull("x", retry_after=2.5), 429, "queue-full"),
        (errors.Overloaded("x"), 503, "overloaded"),
        (errors.DatabaseUnavailable("host 10.0.0.1"), 503, "database-unavailable"),
        (errors.DatabaseRefused("role x"), 503, "database-refused"),
        (errors.SchemaMismatch("x"), 503, "schema-mismatch"),
        (web.HTTPNotFound(), 404, "no-such-path"),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int, kind: str) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert (problem.status, problem.kind) == (status, kind)
    assert ("Retry-After" in problem.headers) == (status in (429, 503))
    shown = response_of(problem, "rid").body
    assert isinstance(shown, bytes)
    assert b"10.0.0.1" not in shown


def test_retry_after_is_rounded_up() -> None:
    problem = problem_of(errors.QueueFull("x", retry_after=2.1))
    assert problem
    assert problem.headers["Retry-After"] == "3"


def test_an_unexpected_error_tells_a_client_nothing() -> None:
    assert problem_of(RuntimeError("secret")) is None
    assert "secret" not in internal().detail


def test_a_faults_value_is_shown_short_and_printable() -> None:
    values = ["x" * 1000, {"k": ["v" * 1000]}, "\ud800", 10**400, True, 1.5, 2**60]
    problem = Problem(400, "k", "d", [Fault("f", "r", value) for value in values])
    body = response_of(problem, "rid").body
    assert isinstance(body, bytes)
    shown = [fault["value"] for fault in json.loads(body)["faults"]]
    assert all(len(value) <= 200 for value in shown if isinstance(value, str))
    assert shown[4:6] == [True, 1.5]
    assert shown[6] == str(2**60)


def test_the_body_budget_refuses_and_recovers() -> None:
    budget = BodyBudget(most=10)
    with budget.holding(6):
        with pytest.raises(Overloaded), budget.holding(5):
            pytest.fail("held too much")
        with budget.holding(4):
            pass
    with pytest.raises(KeyError), budget.holding(10):
        raise KeyError
    with budget.holding(10):
        pass


def test_labels_of_enqueues_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_SERIES", 3)
    measured = ApiMetrics()
    for n in range(10):
        measured.count_enqueue(f"t{n}", "q", "queued")
    text = measured.text().decode()
    assert 'type="t2"' in text
    assert 'type="t3"' not in text
    assert '{queue="other",status="queued",type="other"} 7.0' in text


async def test_a_draining_server_is_unready_without_asking_the_database() -> None:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
    health = Health(Database.of(settings, application="tests"))
    assert await health.unready() == "the database does not answer"
    health.draining = True
    assert await health.unready() == "draining"
