"""Enqueueing tasks and looking at them."""

from typing import Final

from tidemill.tracing import TRACEPARENT, TRACESTATE
from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Parameter, Reply
from tidemill_api.handlers import lists, tasks
from tidemill_api.reading import NDJSON_TYPES
from tidemill_api.requests.queries import TaskQuery, WaitQuery
from tidemill_api.requests.tasks import BatchRequest, TaskLines, TaskRequest, TaskRequests
from tidemill_api.responses.lists import TaskPageAnswer
from tidemill_api.responses.tasks import BatchAnswer, EventAnswer, TaskAnswer
from tidemill_api.routes.common import JSON, TASK_ID

_KEY: Final = Parameter(
    tasks.KEY_HEADER,
    "header",
    "the same as the body's idempotency_key",
    {"type": "string", "minLength": 1, "maxLength": 255},
)
_TRACE: Final = (
    Parameter(
        TRACEPARENT,
        "header",
        "W3C trace context, for tasks whose headers name no trace; one that is none is ignored",
        {"type": "string"},
    ),
    Parameter(TRACESTATE, "header", "goes with traceparent", {"type": "string"}),
)
_LOCATION: Final = {"Location": "the task's path"}

TASKS: Final = (
    Endpoint(
        method="POST",
        path="/api/tasks",
        handler=tasks.create,
        name="enqueueTask",
        summary="Enqueue a task",
        tag="tasks",
        scope=Scope.ENQUEUE,
        limit=Limit.HANDLER,
        bodies={JSON: TaskRequest},
        parameters=(_KEY, *_TRACE),
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
        scope=Scope.ENQUEUE,
        limit=Limit.HANDLER,
        parameters=_TRACE,
        bodies={
            JSON: BatchRequest | TaskRequests,
            **dict.fromkeys(sorted(NDJSON_TYPES), TaskLines),
        },
        replies={
            201: Reply("committed; at least one task is new", BatchAnswer),
            200: Reply("all tasks were known by their idempotency keys", BatchAnswer),
        },
        problems=(400, 408, 409, 413, 415, 429, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/tasks",
        handler=lists.tasks,
        name="listTasks",
        summary="Tasks, newest first, page by page",
        tag="tasks",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        query=TaskQuery,
        replies={200: Reply("a page of tasks", TaskPageAnswer)},
        problems=(400, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/tasks/{id}",
        handler=tasks.show,
        name="getTask",
        tagged=True,
        summary="A task as it is now, or when it has ended",
        tag="tasks",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        parameters=(TASK_ID,),
        query=WaitQuery,
        replies={200: Reply("the task", TaskAnswer)},
        problems=(400, 404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/tasks/{id}/history",
        handler=tasks.history,
        name="getTaskHistory",
        summary="What happened to a task, oldest first",
        tag="tasks",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        parameters=(TASK_ID,),
        replies={200: Reply("its events", list[EventAnswer])},
        problems=(404, 503),
    ),
)
