"""Every route of the API, once: the application and /openapi.json are both made from this."""

from typing import Final

from tidemill_api.endpoints import Endpoint, Parameter, Reply
from tidemill_api.handlers import system, tasks
from tidemill_api.reading import NDJSON_TYPES
from tidemill_api.requests import BatchRequest, TaskRequest
from tidemill_api.responses import (
    AliveAnswer,
    BatchAnswer,
    EventAnswer,
    HealthAnswer,
    IndexAnswer,
    ReadyAnswer,
    StatsAnswer,
    TaskAnswer,
    VersionAnswer,
)

_TASK_ID: Final = Parameter("id", "path", "the task's id", {"type": "string", "format": "uuid"})
_KEY: Final = Parameter(
    tasks.KEY_HEADER,
    "header",
    "the same as the body's idempotency_key",
    {"type": "string", "minLength": 1, "maxLength": 255},
)
_LOCATION: Final = {"Location": "the task's path"}
_JSON: Final = "application/json"

TASKS: Final = (
    Endpoint(
        method="POST",
        path="/api/tasks",
        handler=tasks.create,
        name="enqueueTask",
        summary="Enqueue a task",
        tag="tasks",
        bodies={_JSON: TaskRequest},
        parameters=(_KEY,),
        replies={
            201: Reply("committed", TaskAnswer, headers=_LOCATION),
            200: Reply("the idempotency key's first task", TaskAnswer, headers=_LOCATION),
        },
        problems=(400, 404, 408, 409, 413, 415, 429, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/tasks/batch",
        handler=tasks.create_many,
        name="enqueueTasks",
        summary="Enqueue up to 10,000 tasks, all or none",
        tag="tasks",
        bodies={
            _JSON: BatchRequest | list[TaskRequest],
            **dict.fromkeys(sorted(NDJSON_TYPES), str),
        },
        replies={
            201: Reply("committed; at least one task is new", BatchAnswer),
            200: Reply("all tasks were known by their idempotency keys", BatchAnswer),
        },
        problems=(400, 408, 409, 413, 415, 429, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/tasks/{id}",
        handler=tasks.show,
        name="getTask",
        summary="A task as it is now",
        tag="tasks",
        parameters=(_TASK_ID,),
        replies={200: Reply("the task", TaskAnswer)},
        problems=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/tasks/{id}/history",
        handler=tasks.history,
        name="getTaskHistory",
        summary="What happened to a task, oldest first",
        tag="tasks",
        parameters=(_TASK_ID,),
        replies={200: Reply("its events", list[EventAnswer])},
        problems=(404, 503),
    ),
)

SYSTEM: Final = (
    Endpoint(
        method="GET",
        path="/api/stats",
        handler=system.stats,
        name="getStats",
        summary="Figures of the system and of each queue",
        tag="system",
        replies={200: Reply("the figures", StatsAnswer)},
        problems=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/version",
        handler=system.version,
        name="getVersion",
        summary="What runs here",
        tag="system",
        replies={200: Reply("versions of code and schema", VersionAnswer)},
    ),
    Endpoint(
        method="GET",
        path="/health",
        handler=system.health,
        name="getHealth",
        summary="Whether this server can do its work",
        tag="probes",
        replies={
            200: Reply("ok", HealthAnswer),
            503: Reply("degraded: the database is down, or its schema does not fit", HealthAnswer),
        },
    ),
    Endpoint(
        method="GET",
        path="/healthz",
        handler=system.alive,
        name="getLiveness",
        summary="The process turns; says nothing of the database",
        tag="probes",
        replies={200: Reply("alive", AliveAnswer)},
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=system.ready,
        name="getReadiness",
        summary="Whether requests should be sent here",
        tag="probes",
        replies={
            200: Reply("ready", ReadyAnswer),
            503: Reply("draining, or the database does not answer or fit", ReadyAnswer),
        },
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        handler=system.metrics,
        name="getMetrics",
        summary="Metrics in Prometheus' text format",
        tag="probes",
        replies={200: Reply("metrics", str, media="text/plain")},
    ),
    Endpoint(
        method="GET",
        path="/openapi.json",
        handler=system.openapi,
        name="getOpenApi",
        summary="This document",
        tag="system",
        replies={200: Reply("OpenAPI 3.1", dict[str, object])},
    ),
    Endpoint(
        method="GET",
        path="/",
        handler=system.index,
        name="getIndex",
        summary="Where to look next",
        tag="system",
        replies={200: Reply("paths", IndexAnswer)},
    ),
)

ENDPOINTS: Final = TASKS + SYSTEM
