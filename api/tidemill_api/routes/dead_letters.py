"""Dead letters."""

from typing import Final

from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Reply
from tidemill_api.handlers import dead_letters
from tidemill_api.requests.bulk import DeadLettersRequest
from tidemill_api.requests.queries import DeadLetterQuery
from tidemill_api.responses.bulk import BulkAnswer
from tidemill_api.responses.lists import DeadLetterPageAnswer
from tidemill_api.responses.tasks import TaskAnswer
from tidemill_api.routes.common import BODY, JSON, NO_BODY, TASK_ID

_BULK: Final = {200: Reply("what was done, or in a dry run would be", BulkAnswer)}

DEAD_LETTERS: Final = (
    Endpoint(
        method="GET",
        path="/api/dead-letters",
        handler=dead_letters.show,
        name="listDeadLetters",
        summary="Tasks that failed for good, latest first, page by page",
        tag="dead letters",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        query=DeadLetterQuery,
        replies={200: Reply("a page of dead letters", DeadLetterPageAnswer)},
        problems=(400, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/dead-letters/{id}/replay",
        handler=dead_letters.replay,
        name="replayDeadLetter",
        summary="Run a dead letter's task again, its retries counted from 0",
        tag="dead letters",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(TASK_ID,),
        replies={200: Reply("the task, queued", TaskAnswer)},
        problems=(*NO_BODY, 404, 409, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/api/dead-letters/{id}",
        handler=dead_letters.delete,
        name="deleteDeadLetter",
        summary="Delete a dead letter: the task and its history",
        tag="dead letters",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(TASK_ID,),
        replies={204: Reply("deleted")},
        problems=(*NO_BODY, 404, 409, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/dead-letters/replay",
        handler=dead_letters.replay_many,
        name="replayDeadLetters",
        summary="Replay the dead letters that a filter finds",
        tag="dead letters",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        bodies={JSON: DeadLettersRequest},
        replies=_BULK,
        problems=(*BODY, 503),
    ),
    Endpoint(
        method="POST",
        path="/api/dead-letters/purge",
        handler=dead_letters.purge,
        name="purgeDeadLetters",
        summary="Delete the dead letters that a filter finds, tasks and all",
        tag="dead letters",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        bodies={JSON: DeadLettersRequest},
        replies=_BULK,
        problems=(*BODY, 503),
    ),
)
