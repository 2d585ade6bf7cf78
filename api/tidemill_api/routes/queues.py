"""Queues."""

from typing import Final

from tidemill.models import queue_name_pattern
from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Parameter, Reply
from tidemill_api.handlers import queues
from tidemill_api.requests.queues import QueueRequest
from tidemill_api.responses.queues import QueueAnswer, QueuesAnswer
from tidemill_api.routes.common import BODY, JSON, NO_BODY

NAME: Final = Parameter(
    "name", "path", "the queue's name", {"type": "string", "pattern": queue_name_pattern}
)

QUEUES: Final = (
    Endpoint(
        method="GET",
        path="/api/queues",
        handler=queues.show_all,
        name="listQueues",
        summary="All queues with their settings",
        tag="queues",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        replies={200: Reply("the queues by name", QueuesAnswer)},
        problems=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/queues/{name}",
        handler=queues.show,
        name="getQueue",
        tagged=True,
        summary="A queue's settings",
        tag="queues",
        scope=Scope.READ,
        limit=Limit.PATH,
        parameters=(NAME,),
        replies={200: Reply("the queue", QueueAnswer)},
        problems=(404, 503),
    ),
    Endpoint(
        method="PUT",
        path="/api/queues/{name}",
        handler=queues.put,
        name="putQueue",
        summary="Create a queue, or change the settings that are given",
        tag="queues",
        scope=Scope.ADMIN,
        limit=Limit.PATH,
        parameters=(NAME,),
        bodies={JSON: QueueRequest},
        replies={200: Reply("changed", QueueAnswer), 201: Reply("created", QueueAnswer)},
        problems=(*BODY, 409, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/api/queues/{name}",
        handler=queues.delete,
        name="deleteQueue",
        summary="Delete a queue that holds no tasks and has no owner",
        tag="queues",
        scope=Scope.ADMIN,
        limit=Limit.PATH,
        parameters=(NAME,),
        replies={204: Reply("deleted")},
        problems=(*NO_BODY, 404, 409, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/queues/{name}/pause",
        handler=queues.pause,
        name="pauseQueue",
        summary="Let nothing start in a queue; what runs goes on",
        tag="queues",
        scope=Scope.ADMIN,
        limit=Limit.PATH,
        parameters=(NAME,),
        replies={200: Reply("the queue, paused", QueueAnswer)},
        problems=(*NO_BODY, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/queues/{name}/resume",
        handler=queues.resume,
        name="resumeQueue",
        summary="End the pause of this API; a TaskQueue's own pause stays",
        tag="queues",
        scope=Scope.ADMIN,
        limit=Limit.PATH,
        parameters=(NAME,),
        replies={200: Reply("the queue", QueueAnswer)},
        problems=(*NO_BODY, 404, 503),
    ),
)
