"""What an HTTP client repeats when the API fails, and what it must not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from aiohttp import web

from tidemill import HttpClient, NewTask
from tidemill.client import calls
from tidemill.errors import ApiRefused, ApiUnavailable, Overloaded, RateLimited

TASK = "00000000-0000-7000-8000-000000000001"
ENTRY = {"id": TASK, "status": "queued", "created": True, "queue": "q", "type": "t"}

MOMENT = "2030-01-31T12:00:00Z"
QUEUED: dict[str, object] = {
    "id": TASK, "name": None, "type": "t", "queue": "q", "status": "queued", "priority": 0,
    "payload": {}, "headers": None, "idempotency_key": None, "retry": None, "retry_count": 0,
    "crash_count": 0, "max_retries": 3, "timeout_seconds": 300, "created_at": MOMENT,
    "run_at": MOMENT, "first_run_at": None, "expires_at": None, "started_at": None,
    "completed_at": None, "worker_id": None, "cancel_requested_at": None,
    "last_error": None, "last_error_detail": None, "result": None, "a_field_of_later": 1,
}  # fmt: skip


@dataclass
class Failing:
    """An API that answers as it is told, one answer a request; the last one stays."""

    answers: list[web.Response | None] = field(default_factory=list[web.Response | None])
    asked: list[str] = field(default_factory=list[str])
    tokens: list[str | None] = field(default_factory=list[str | None])
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        self.tokens.append(request.headers.get("Authorization"))
        said = self.answers.pop(0) if self.answers else web.json_response({"tasks": [ENTRY]})
        if said is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return said


def problem(status: int, kind: str) -> web.Response:
    body = {"type": f"urn:tidemill:problem:{kind}", "detail": "told"}
    return web.json_response(body, status=status, headers={"Retry-After": "1"})


@pytest.fixture
async def failing(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Failing]:
    monkeypatch.setattr(calls, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(calls, "LONGEST_PAUSE_SECONDS", 0.01)
    api = Failing()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api
    await runner.cleanup()


async def test_an_enqueue_with_a_key_is_repeated(failing: Failing) -> None:
    failing.answers = [None, problem(503, "overloaded")]
    async with HttpClient(failing.url) as client:
        await client.enqueue(NewTask(type="t", idempotency_key="k"))
    assert len(failing.asked) == 3


async def test_an_enqueue_without_a_key_is_not(failing: Failing) -> None:
    failing.answers = [None]
    async with HttpClient(failing.url) as client:
        with pytest.raises(ApiUnavailable, match="did not answer"):
            await client.enqueue_many([NewTask(type="t", idempotency_key="k"), NewTask(type="t")])
    assert len(failing.asked) == 1


async def test_a_look_is_repeated_until_the_tries_are_used_up(failing: Failing) -> None:
    failing.answers = [problem(503, "overloaded") for _ in range(calls.TRIES)]
    async with HttpClient(failing.url) as client:
        with pytest.raises(Overloaded) as error:
            await client.history(UUID(TASK))
    assert error.value.retry_after == 1
    assert failing.asked == [f"GET /api/tasks/{TASK}/history"] * calls.TRIES


async def test_an_act_is_not_repeated(failing: Failing) -> None:
    failing.answers = [problem(503, "overloaded")]
    async with HttpClient(failing.url) as client:
        with pytest.raises(Overloaded):
            await client.cancel(UUID(TASK))
    assert failing.asked == [f"POST /api/tasks/{TASK}/cancel"]


async def test_a_wrong_token_and_a_stranger_in_between_are_told(failing: Failing) -> None:
    failing.answers = [
        problem(401, "unauthorized"),
        web.Response(status=404, text="<html>"),
        web.Response(text="hello"),
    ]
    async with HttpClient(failing.url, token="secret") as client:
        with pytest.raises(ApiRefused, match="told"):
            await client.enqueue(NewTask(type="t"))
        for _ in range(2):
            with pytest.raises(ApiUnavailable, match="no Tidemill API"):
                await client.enqueue(NewTask(type="t"))
    assert failing.tokens == ["Bearer secret"] * 3


async def test_polls_that_come_back_too_early_are_no_hot_loop(failing: Failing) -> None:
    failing.answers = [web.json_response(QUEUED) for _ in range(100)]
    async with HttpClient(failing.url) as client:
        with pytest.raises(TimeoutError, match="has not ended"):
            await client.wait(UUID(TASK), 0.5)
    assert len(failing.asked) <= 4


async def test_past_its_rate_the_client_waits_and_asks_again_for_nothing_was_done(
    failing: Failing,
) -> None:
    failing.answers = [problem(429, "rate-limited")]
    async with HttpClient(failing.url) as client:
        await client.enqueue(NewTask(type="t"))
    assert len(failing.asked) == 2


async def test_a_rate_that_stays_used_up_is_told_as_such(failing: Failing) -> None:
    failing.answers = [problem(429, "rate-limited") for _ in range(calls.TRIES)]
    async with HttpClient(failing.url) as client:
        with pytest.raises(RateLimited, match="told") as limited:
            await client.enqueue(NewTask(type="t"))
    assert limited.value.retry_after == 1


async def test_the_token_is_given_or_the_environments(
    failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_API_TOKEN", "theirs\n")
    for given in (None, "mine"):
        async with HttpClient(failing.url, token=given) as client:
            await client.enqueue(NewTask(type="t"))
    assert failing.tokens == ["Bearer theirs", "Bearer mine"]
