"""Workers."""

from typing import Final

from tidemill_api.endpoints import Endpoint, Reply
from tidemill_api.handlers import lists
from tidemill_api.requests.queries import WorkerQuery
from tidemill_api.responses.lists import WorkerPageAnswer

WORKERS: Final = (
    Endpoint(
        method="GET",
        path="/api/workers",
        handler=lists.workers,
        name="listWorkers",
        summary="The worker processes that are there",
        tag="workers",
        query=WorkerQuery,
        replies={200: Reply("a page of workers", WorkerPageAnswer)},
        problems=(400, 503),
    ),
)
