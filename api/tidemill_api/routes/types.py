"""Task types."""

from typing import Final

from tidemill.models import type_name_pattern
from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Parameter, Reply
from tidemill_api.handlers import types
from tidemill_api.requests.types import TypeRequest
from tidemill_api.responses.types import TypeAnswer, TypesAnswer
from tidemill_api.routes.common import BODY, JSON, NO_BODY

_NAME: Final = Parameter(
    "name",
    "path",
    "the type's name; a / in it is written %2F",
    {"type": "string", "pattern": type_name_pattern},
)

TYPES: Final = (
    Endpoint(
        method="GET",
        path="/api/task-types",
        handler=types.show_all,
        name="listTaskTypes",
        summary="All task types",
        tag="task types",
        scope=Scope.READ,
        limit=Limit.FREE,
        replies={200: Reply("the types by name", TypesAnswer)},
        problems=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/task-types/{name}",
        handler=types.show,
        name="getTaskType",
        tagged=True,
        summary="A task type",
        tag="task types",
        scope=Scope.READ,
        limit=Limit.FREE,
        parameters=(_NAME,),
        replies={200: Reply("the type", TypeAnswer)},
        problems=(404, 503),
    ),
    Endpoint(
        method="PUT",
        path="/api/task-types/{name}",
        handler=types.put,
        name="putTaskType",
        summary="Register a task type, or put another in its place",
        tag="task types",
        scope=Scope.ADMIN,
        parameters=(_NAME,),
        bodies={JSON: TypeRequest},
        replies={200: Reply("replaced", TypeAnswer), 201: Reply("registered", TypeAnswer)},
        problems=(*BODY, 404, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/api/task-types/{name}",
        handler=types.delete,
        name="deleteTaskType",
        summary="Forget a task type; its tasks stay",
        tag="task types",
        scope=Scope.ADMIN,
        parameters=(_NAME,),
        replies={204: Reply("deleted")},
        problems=(*NO_BODY, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/task-types/{name}/pause",
        handler=types.pause,
        name="pauseTaskType",
        summary="Let no task of a type start; what runs goes on",
        tag="task types",
        scope=Scope.ADMIN,
        parameters=(_NAME,),
        replies={200: Reply("the type, paused", TypeAnswer)},
        problems=(*NO_BODY, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/task-types/{name}/resume",
        handler=types.resume,
        name="resumeTaskType",
        summary="Let tasks of a type start again",
        tag="task types",
        scope=Scope.ADMIN,
        parameters=(_NAME,),
        replies={200: Reply("the type", TypeAnswer)},
        problems=(*NO_BODY, 404, 503),
    ),
)
