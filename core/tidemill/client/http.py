"""The client that speaks with the HTTP API: for producers that may not reach the database."""

import asyncio
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import TypeAdapter

from tidemill.client.base import Producer
from tidemill.client.calls import CALL_SECONDS, Calls, Patience, listed
from tidemill.client.transactions import checked, fields_of
from tidemill.errors import ApiUnavailable, ConfigurationError, DatabaseUnavailable, Overloaded
from tidemill.models import HistoryEvent, NewTask, Task
from tidemill.sdk.handle import Stored
from tidemill.setting import masked
from tidemill.states import Status

VARIABLE: Final = "TIDEMILL_API_TOKEN"
POLL_SECONDS: Final = 30.0
"""How long one request of a wait lasts at most."""

ANSWER_SECONDS: Final = 10.0
"""How much longer than the wait its answer may take, until the API counts as away."""

LEAST_BYTES_A_SECOND: Final = 256 * 1024
"""How fast a batch is sent at least: a large one has longer until its answer must come."""

PAUSE_SECONDS: Final = 1.0
"""How long after a poll that came back too early, or failed, the next one begins."""

_LEAST_SECONDS: Final = 0.001
_TASK: Final = TypeAdapter(Task)
_EVENT: Final = TypeAdapter(HistoryEvent)
_AWAY: Final = (ApiUnavailable, DatabaseUnavailable, Overloaded)


class HttpClient(Producer):
    """Enqueues over HTTP: `App(client=HttpClient("https://tidemill.example.com", token=…))`.

    Errors are those of `Client`, and ApiUnavailable and ApiRefused. Looking is repeated for some
    seconds while the API does not answer; an enqueue only if all its tasks have an idempotency key,
    or nothing of it was sent.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        """Speak with the API at `url`. Raises ConfigurationError for one that is no address.

        `token` is the API's; default: the variable TIDEMILL_API_TOKEN, or none.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            rule = "must be http://host[:port] or https://host[:port]"
            raise ConfigurationError(f"the API's url {rule} (got {masked(url)!r})")
        self._url, self._token = url, (token or os.environ.get(VARIABLE, "")).strip()
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        self._calls = Calls(url, headers)

    def copy(self) -> Self:
        """Return a client of the same API with connections of its own."""
        made = type(self)(self._url, self._token)
        made.middleware = self.middleware
        return made

    async def store(self, tasks: Sequence[NewTask]) -> list[Stored]:
        """Store all of `tasks` or none."""
        checked(tasks)
        safe = all(task.idempotency_key is not None for task in tasks)
        body = listed(fields_of(task) for task in tasks)
        answer = await self._calls.call(
            "POST",
            "/api/tasks/batch",
            body=body,
            safe=safe,
            seconds=CALL_SECONDS + len(body.data) / LEAST_BYTES_A_SECOND,
        )
        with self._expecting():
            return [_stored(each) for each in answer["tasks"]]

    async def get(self, task_id: UUID) -> Task:
        """Return a task as it is now. Raises TaskNotFound."""
        answer = await self._calls.call("GET", f"/api/tasks/{task_id}", safe=True)
        with self._expecting():
            return _task(answer)

    async def history(self, task_id: UUID) -> list[HistoryEvent]:
        """Return what happened to a task, oldest first. Raises TaskNotFound."""
        events = await self._calls.call("GET", f"/api/tasks/{task_id}/history", safe=True)
        return [_EVENT.validate_python({**each, "error": each["error_detail"]}) for each in events]

    async def wait(self, task_id: UUID, seconds: float | None) -> Task:
        """Return a task when it has ended, by long polls. Raises TaskNotFound, TimeoutError."""
        patience = Patience(seconds)
        trouble: Exception | None = None
        while True:
            poll = min(POLL_SECONDS, patience.left)
            asked = Patience(poll)
            try:
                async with asyncio.timeout(poll + ANSWER_SECONDS):
                    task = await self._poll(task_id, poll)
            except (TimeoutError, *_AWAY) as error:
                trouble = error
                await asyncio.sleep(min(PAUSE_SECONDS, patience.left))
            else:
                trouble = None
                if task.status.final:
                    return task
                # early: the API ends, or something in between does not know long polls
                await asyncio.sleep(min(PAUSE_SECONDS, asked.left))
            if not patience.left:
                reason = f"; the last look failed: {trouble}" if trouble else ""
                message = f"task {task_id} has not ended within {seconds:g} s{reason}"
                raise TimeoutError(message) from trouble

    async def cancel(self, task_id: UUID) -> Task:
        """Cancel a task and return it. Raises Conflict when it has ended, TaskNotFound."""
        return _task(await self._calls.call("POST", f"/api/tasks/{task_id}/cancel", safe=False))

    async def retry(self, task_id: UUID) -> Task:
        """Run a scheduled task now, or a failed one again. Raises Conflict, TaskNotFound."""
        return _task(await self._calls.call("POST", f"/api/tasks/{task_id}/retry", safe=False))

    async def close(self) -> None:
        """Close all connections."""
        await self._calls.close()

    @contextmanager
    def _expecting(self) -> Generator[None]:
        """Tell of an answer that is JSON, but not what the API says."""
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            told = f"what answers at {masked(self._url)} is no Tidemill API: its JSON is another"
            raise ApiUnavailable(told) from error

    async def _poll(self, task_id: UUID, seconds: float) -> Task:
        path = f"/api/tasks/{task_id}?wait={max(_LEAST_SECONDS, seconds):.3f}"
        limit = seconds + ANSWER_SECONDS
        answer = await self._calls.call("GET", path, safe=False, seconds=limit)
        with self._expecting():
            return _task(answer)


def _stored(entry: Mapping[str, Any]) -> Stored:
    status = entry["status"]
    return Stored(
        UUID(entry["id"]), status and Status(status), bool(entry["created"]), str(entry["queue"])
    )


def _task(answer: Mapping[str, Any]) -> Task:
    return _TASK.validate_python({**answer, "last_error": answer["last_error_detail"]})
