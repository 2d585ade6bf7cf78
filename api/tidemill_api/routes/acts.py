"""Acts on tasks: one by id, many by filter."""

from typing import Final

from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Reply
from tidemill_api.handlers import acts, bulk
from tidemill_api.requests.bulk import BulkRequest, MoveRequest, ReprioritiseRequest
from tidemill_api.responses.bulk import BulkAnswer
from tidemill_api.responses.tasks import TaskAnswer
from tidemill_api.routes.common import BODY, JSON, NO_BODY, TASK_ID

_BULK: Final = {200: Reply("what was done, or in a dry run would be", BulkAnswer)}
_BULK_PROBLEMS: Final = (*BODY, 503)

ACTS: Final = (
    Endpoint(
        method="POST",
        path="/api/tasks/{id}/cancel",
        handler=acts.cancel,
        name="cancelTask",
        summary="Cancel a task: at once where it waits, through its worker where it runs",
        tag="tasks",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(TASK_ID,),
        replies={
            200: Reply("cancelled", TaskAnswer),
            202: Reply("it runs: its worker is told", TaskAnswer),
        },
        problems=(*NO_BODY, 404, 409, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/tasks/{id}/retry",
        handler=acts.retry,
        name="retryTask",
        summary="Run a scheduled task now, or replay a failed one",
        tag="tasks",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(TASK_ID,),
        replies={200: Reply("the task, queued", TaskAnswer)},
        problems=(*NO_BODY, 404, 409, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/api/tasks/{id}",
        handler=acts.delete,
        name="deleteTask",
        summary="Delete a task and its history, unless it runs",
        tag="tasks",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(TASK_ID,),
        replies={204: Reply("deleted")},
        problems=(*NO_BODY, 404, 409, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/tasks/cancel",
        handler=bulk.cancel,
        name="cancelTasks",
        summary="Cancel the queued, scheduled and running tasks that a filter finds",
        tag="tasks",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        bodies={JSON: BulkRequest},
        replies=_BULK,
        problems=_BULK_PROBLEMS,
    ),
    Endpoint(
        method="POST",
        path="/api/tasks/retry",
        handler=bulk.retry,
        name="retryTasks",
        summary="Run the scheduled tasks that a filter finds now, and replay the failed ones",
        tag="tasks",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        bodies={JSON: BulkRequest},
        replies=_BULK,
        problems=_BULK_PROBLEMS,
    ),
    Endpoint(
        method="POST",
        path="/api/tasks/delete",
        handler=bulk.delete,
        name="deleteTasks",
        summary="Delete the queued, scheduled and failed tasks that a filter finds",
        tag="tasks",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        bodies={JSON: BulkRequest},
        replies=_BULK,
        problems=_BULK_PROBLEMS,
    ),
    Endpoint(
        method="POST",
        path="/api/tasks/reprioritise",
        handler=bulk.reprioritise,
        name="reprioritiseTasks",
        summary="Give the waiting tasks that a filter finds another priority",
        tag="tasks",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        bodies={JSON: ReprioritiseRequest},
        replies=_BULK,
        problems=_BULK_PROBLEMS,
    ),
    Endpoint(
        method="POST",
        path="/api/tasks/move",
        handler=bulk.move,
        name="moveTasks",
        summary="Put the waiting tasks that a filter finds into another queue",
        tag="tasks",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        bodies={JSON: MoveRequest},
        replies=_BULK,
        problems=_BULK_PROBLEMS,
    ),
)
