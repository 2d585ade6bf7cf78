"""Speaking with the API in tests: an answer as a value, and what every problem must look like."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support import described


@dataclass(frozen=True)
class Answer:
    """A response that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fields(self) -> list[str]:
        """The places of a problem's faults."""
        return [fault["field"] for fault in self.json["faults"]]


async def ask(client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Answer:
    """Send a request and read its answer, which must be as /openapi.json says."""
    async with client.request(method, path, **options) as response:
        headers = {name.title(): value for name, value in response.headers.items()}
        endless = response.content_type == "text/event-stream"
        body = b"" if endless else await response.read()
        answer = Answer(response.status, headers, body)
    described.hold(method, path, answer.status, headers.get("Content-Type", ""), answer.body)
    if answer.status >= 400 and method != "HEAD" and not path.startswith(("/health", "/readyz")):
        assert_problem(answer)
    return answer


async def enqueue(client: aiohttp.ClientSession, **fields: Any) -> Answer:
    """POST a task; its type is `t` unless given."""
    return await ask(client, "POST", "/api/tasks", json={"type": "t", **fields})


async def post_raw(
    client: aiohttp.ClientSession,
    data: bytes,
    path: str = "/api/tasks",
    content_type: str = "application/json",
) -> Answer:
    """POST bytes as they are."""
    headers = {"Content-Type": content_type}
    return await ask(client, "POST", path, data=data, headers=headers)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once `condition` holds; the test's own time limit is the limit."""
    while not await condition():  # noqa: ASYNC110 - what is waited for is in another process
        await asyncio.sleep(0.01)


def assert_problem(answer: Answer) -> None:
    """Hold an error against RFC 9457 and our promises."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer
    problem = answer.json
    assert problem["status"] == answer.status
    assert problem["type"].startswith("urn:tidemill:problem:")
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert "Traceback" not in answer.body.decode()
    for fault in problem.get("faults", ()):
        assert fault.keys() == {"field", "rule", "value"}
        assert fault["field"]
        assert fault["rule"]
    if answer.status in (429, 503):
        assert int(answer.headers["Retry-After"]) >= 1
