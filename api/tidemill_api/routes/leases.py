"""The worker protocol: what a worker in another language says to claim and end tasks."""

from typing import Final

from tidemill.models import queue_name_pattern
from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Handler, Parameter, Reply
from tidemill_api.handlers import leases
from tidemill_api.requests.leases import (
    ClaimQuery,
    ClaimRequest,
    CompleteRequest,
    ExtendRequest,
    FailRequest,
    ReleaseRequest,
    SnoozeRequest,
)
from tidemill_api.responses.leases import ClaimAnswer, EndsAnswer, ExtendAnswer
from tidemill_api.routes.common import BODY, JSON

_NAME: Final = Parameter(
    "name", "path", "the queue's name", {"type": "string", "pattern": queue_name_pattern}
)


def _ends(word: str, handler: Handler, model: type, summary: str) -> Endpoint:
    return Endpoint(
        method="POST",
        path=f"/api/leases/{word}",
        handler=handler,
        name=f"{word}Leases",
        summary=summary,
        tag="worker protocol",
        scope=Scope.WORK,
        limit=Limit.HANDLER,
        bodies={JSON: model},
        replies={200: Reply("a verdict for each lease", EndsAnswer)},
        problems=(*BODY, 503),
    )


LEASES: Final = (
    Endpoint(
        method="POST",
        path="/api/queues/{name}/claim",
        handler=leases.claim,
        name="claimTasks",
        summary="Lease tasks of a queue to a worker, or wait for some",
        tag="worker protocol",
        scope=Scope.WORK,
        limit=Limit.PATH,
        parameters=(_NAME,),
        query=ClaimQuery,
        bodies={JSON: ClaimRequest},
        replies={200: Reply("the tasks, maybe none", ClaimAnswer)},
        problems=(*BODY, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/leases/extend",
        handler=leases.extend,
        name="extendLeases",
        summary="A worker's heartbeat, for itself and its leases",
        tag="worker protocol",
        scope=Scope.WORK,
        limit=Limit.HANDLER,
        bodies={JSON: ExtendRequest},
        replies={200: Reply("a verdict for each lease", ExtendAnswer)},
        problems=(*BODY, 503),
    ),
    _ends("complete", leases.complete, CompleteRequest, "Record attempts that succeeded"),
    _ends("fail", leases.fail, FailRequest, "Record attempts that failed; policies retry them"),
    _ends("release", leases.release, ReleaseRequest, "Give tasks back, uncharged"),
    _ends("snooze", leases.snooze, SnoozeRequest, "Put tasks off for a time, uncharged"),
)
