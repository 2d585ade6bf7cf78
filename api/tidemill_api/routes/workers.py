"""Workers."""

from typing import Final

from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Parameter, Reply
from tidemill_api.handlers import lists, workers
from tidemill_api.requests.leases import RegisterRequest
from tidemill_api.requests.queries import WorkerQuery
from tidemill_api.responses.leases import RegisteredAnswer
from tidemill_api.responses.lists import WorkerPageAnswer
from tidemill_api.routes.common import BODY, JSON, NO_BODY

WORKERS: Final = (
    Endpoint(
        method="GET",
        path="/api/workers",
        handler=lists.workers,
        name="listWorkers",
        summary="The worker processes that are there",
        tag="workers",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        query=WorkerQuery,
        replies={200: Reply("a page of workers", WorkerPageAnswer)},
        problems=(400, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/workers",
        handler=workers.register,
        name="registerWorker",
        summary="Register a worker process that claims over HTTP",
        tag="worker protocol",
        scope=Scope.WORK,
        limit=Limit.HANDLER,
        bodies={JSON: RegisterRequest},
        replies={201: Reply("registered", RegisteredAnswer)},
        problems=(*BODY, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/api/workers/{id}",
        handler=workers.leave,
        name="deleteWorker",
        summary="Sign a worker off; what it holds goes back, uncharged",
        tag="worker protocol",
        scope=Scope.WORK,
        limit=Limit.HANDLER,
        parameters=(Parameter("id", "path", "the worker's id", {"type": "integer"}),),
        replies={204: Reply("signed off")},
        problems=(*NO_BODY, 404, 503),
    ),
)
