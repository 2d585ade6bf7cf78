"""Tidemill's HTTP API as a test speaks with it: blocking, and patient with rolling pods."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 60.0
FINISHED = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True)
class Answer:
    """Status and JSON body."""

    status: int
    body: Any


class TasksApi:
    """`address` is asked again after a lost connection: a port-forward may have to be renewed."""

    def __init__(self, address: Callable[[], str], renew: Callable[[], None]) -> None:
        self._address = address
        self._renew = renew

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Return the answer, whatever its status."""
        data = None if body is None else json.dumps(body).encode()
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._once(method, path, data)
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
                self._renew()
                time.sleep(0.5)

    def enqueue(self, tasks: list[dict[str, Any]]) -> list[str]:
        """Enqueue a batch and return the ids, in order."""
        answer = self.call("POST", "/api/tasks/batch", tasks)
        assert answer.status == 201, answer
        return [task["id"] for task in answer.body["tasks"]]

    def task(self, task_id: str) -> dict[str, Any]:
        """Return a task."""
        answer = self.call("GET", f"/api/tasks/{task_id}")
        assert answer.status == 200, answer
        return dict(answer.body)

    def events(self, task_id: str) -> Counter[str]:
        """Return how often each event is in a task's history."""
        answer = self.call("GET", f"/api/tasks/{task_id}/history")
        assert answer.status == 200, answer
        return Counter(event["event_type"] for event in answer.body)

    def statuses(self, task_ids: Iterable[str]) -> Counter[str]:
        """Return how many of the tasks have each status."""
        return Counter(self.task(task_id)["status"] for task_id in task_ids)

    def _once(self, method: str, path: str, data: bytes | None) -> Answer:
        request = urllib.request.Request(  # noqa: S310  # a local http address
            self._address() + path,
            data=data,
            method=method,
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  # as above
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.loads(error.read() or b"null"))
