"""A worker that speaks HTTP, a call at a time."""

from typing import Any

import aiohttp

from tests.support.http import Answer, ask


class HttpWorker:
    """Says what a worker in another language says; every answer is held against the document."""

    def __init__(self, http: aiohttp.ClientSession, worker_id: int) -> None:
        self.http, self.id = http, worker_id

    @classmethod
    async def register(cls, http: aiohttp.ClientSession, **said: Any) -> "HttpWorker":
        body = {"name": "w", "slots": 10, "queues": ["*"], **said}
        answer = await ask(http, "POST", "/api/workers", json=body)
        assert answer.status == 201, answer
        return cls(http, answer.json["worker_id"])

    async def ask_claim(self, queue: str = "default", wait: float = 0, **said: Any) -> Answer:
        """Claim, whatever the answer."""
        path = f"/api/queues/{queue}/claim" + (f"?wait={wait}" if wait else "")
        return await ask(self.http, "POST", path, json={"worker_id": self.id, "limit": 100, **said})

    async def claim(self, queue: str = "default", wait: float = 0, **said: Any) -> list[Any]:
        """Claim; return the tasks."""
        answer = await self.ask_claim(queue, wait, **said)
        assert answer.status == 200, answer
        tasks: list[Any] = answer.json["tasks"]
        return tasks

    async def extend(self, tasks: list[Any], **said: Any) -> Any:
        """Extend the leases of these tasks; return the answer."""
        leases = [lease(task) for task in tasks]
        body = {"worker_id": self.id, "leases": leases, **said}
        answer = await ask(self.http, "POST", "/api/leases/extend", json=body)
        assert answer.status == 200, answer
        return answer.json

    async def end(self, how: str, tasks: list[Any], **said: Any) -> list[bool]:
        """Report the same end of these tasks; return the verdicts."""
        answer = await self.ask_end(how, tasks, **said)
        assert answer.status == 200, answer
        verdicts = answer.json["leases"]
        assert [(each["task_id"], each["token"]) for each in verdicts] == [
            (task["task_id"], task["token"]) for task in tasks
        ]
        return [each["held"] for each in verdicts]

    async def ask_end(self, how: str, tasks: list[Any], **said: Any) -> Answer:
        """Report an end, whatever the answer."""
        leases = [{**lease(task), **said} for task in tasks]
        return await ask(self.http, "POST", f"/api/leases/{how}", json={"leases": leases})


def lease(task: Any) -> dict[str, Any]:
    """Return the lease of a claimed task."""
    return {"task_id": task["task_id"], "token": task["token"]}
