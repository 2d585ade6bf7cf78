"""A request for each error that a route's documentation names: what must be asked to get it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from tests.support import seeds
from tests.support.seeds import Seeds
from tidemill.states import Status
from tidemill_api.endpoints import Endpoint
from tidemill_api.routes import ENDPOINTS

JSON: Final = "application/json"
NOBODY: Final = str(UUID(int=0))
KEY, LOST_KEY = "known", "lost"
"""Idempotency keys of the queue `mail`: of a task that is there, and of one that is gone."""

DOCUMENTED: Final = sorted({status for each in ENDPOINTS for status in each.problems})
_FILTER: Final[Mapping[str, Any]] = {"filter": {"queue": "none"}}
_TASK: Final[Mapping[str, Any]] = {"type": "t", "queue": seeds.QUEUE}


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `json` is sent where it is not None; `raw` instead of it where that is given."""

    method: str
    path: str
    json: Any = None
    raw: bytes | None = None
    media: str = JSON

    def options(self) -> dict[str, Any]:
        """Return what a client's request takes."""
        if self.raw is not None:
            return {"data": self.raw, "headers": {"Content-Type": self.media}}
        return {} if self.json is None else {"json": self.json}


class Calls:
    """Requests on a database with these seeds."""

    def __init__(self, known: Seeds) -> None:
        self._tasks = {status: str(ids[0]) for status, ids in known.tasks.items()}
        self._worker = known.worker_id
        self._bodies = self._valid_bodies()

    def valid(self, endpoint: Endpoint) -> Call:
        """Return a request that the endpoint accepts as it is."""
        names = {"queues": seeds.QUEUE, "task-types": seeds.TYPE, "schedules": seeds.SCHEDULE}
        kind = endpoint.path.split("/")[2] if endpoint.path.startswith("/api/") else ""
        path = endpoint.path.replace("{name}", names.get(kind, ""))
        path = path.replace("{id}", self._id(kind))
        body = self._bodies[endpoint.name] if endpoint.bodies else None
        return Call(endpoint.method, path, body)

    def refused(self, endpoint: Endpoint, status: int) -> Call:
        """Return a request that the endpoint answers with `status`. KeyError: nobody knows one."""
        special = self._special().get((endpoint.name, status))
        if special is not None:
            return replace(self.valid(endpoint), **special)
        return _USUAL[status](endpoint, self.valid(endpoint))

    def _id(self, kind: str) -> str:
        if kind == "workers":
            return str(self._worker)
        failed = kind == "dead-letters"
        return self._tasks[Status.FAILED if failed else Status.QUEUED]

    def _special(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Return how requests differ from valid ones where what is stored makes the error."""
        tasks = self._tasks
        full = {"type": "t", "queue": seeds.FULL}
        taken, lost = dict(_TASK, idempotency_key=KEY), dict(_TASK, idempotency_key=LOST_KEY)
        return {
            ("enqueueTask", 404): {"json": lost},
            ("enqueueTask", 409): {"json": taken},
            ("enqueueTask", 429): {"json": full},
            ("enqueueTasks", 409): {"json": [taken]},
            ("enqueueTasks", 429): {"json": [full]},
            ("runSchedule", 429): {"path": f"/api/schedules/{seeds.SCHEDULE}/run"},
            ("cancelTask", 409): {"path": f"/api/tasks/{tasks[Status.SUCCEEDED]}/cancel"},
            ("retryTask", 409): {"path": f"/api/tasks/{tasks[Status.RUNNING]}/retry"},
            ("deleteTask", 409): {"path": f"/api/tasks/{tasks[Status.RUNNING]}"},
            ("replayDeadLetter", 409): {"path": f"/api/dead-letters/{tasks[Status.QUEUED]}/replay"},
            ("deleteDeadLetter", 409): {"path": f"/api/dead-letters/{tasks[Status.QUEUED]}"},
            ("putQueue", 409): {"path": f"/api/queues/{seeds.OWNED}", "json": {"max_running": 1}},
            ("deleteQueue", 409): {"path": f"/api/queues/{seeds.QUEUE}"},
            ("putTaskType", 404): {"path": f"/api/task-types/{seeds.GONE_TYPE}"},
            ("getStatsHistory", 404): {"path": "/api/stats/history?queue=nothing"},
            ("streamEvents", 404): {"path": f"/api/events?task={NOBODY}"},
            ("claimTasks", 404): {"json": {"worker_id": self._worker + 1000}},
        }

    def _valid_bodies(self) -> dict[str, Any]:
        lease = {"task_id": self._tasks[Status.RUNNING], "token": 1_000_000}
        leases = {"leases": [lease]}
        bulk = ("cancelTasks", "retryTasks", "deleteTasks", "replayDeadLetters", "purgeDeadLetters")
        return {
            **dict.fromkeys(bulk, _FILTER),
            **dict.fromkeys(("completeLeases", "releaseLeases"), leases),
            "enqueueTask": _TASK,
            "enqueueTasks": [_TASK],
            "reprioritiseTasks": {**_FILTER, "priority": 1},
            "moveTasks": {**_FILTER, "queue": seeds.QUEUE},
            "putQueue": {},
            "putTaskType": {},
            "putSchedule": {"cron": "0 3 * * *", "type": "t", "queue": seeds.FULL},
            "registerWorker": {"name": "w", "queues": ["*"]},
            "claimTasks": {"worker_id": self._worker},
            "extendLeases": {"worker_id": self._worker, **leases},
            "failLeases": {"leases": [{**lease, "error": {"type": "E"}}]},
            "snoozeLeases": {"leases": [{**lease, "seconds": 1}]},
        }


def _malformed(endpoint: Endpoint, valid: Call) -> Call:
    if endpoint.bodies:
        return replace(valid, raw=b"{")
    if endpoint.query is not None:
        return replace(valid, path=f"{valid.path}?nonsense=1")
    return replace(valid, json={"nonsense": 1})


def _unknown(endpoint: Endpoint, valid: Call) -> Call:
    path = endpoint.path.replace("{name}", "nothing")
    unknown = "123456789" if "workers" in path else NOBODY
    return replace(valid, path=path.replace("{id}", unknown))


def _as_text(_endpoint: Endpoint, valid: Call) -> Call:
    return replace(valid, raw=b"{}", media="text/plain")


_USUAL: Final = {400: _malformed, 404: _unknown, 415: _as_text}
