"""The stream of events."""

from typing import Final

from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Reply
from tidemill_api.events.stream import EVENT_STREAM
from tidemill_api.handlers import events
from tidemill_api.requests.events import EventQuery

EVENTS: Final = (
    Endpoint(
        method="GET",
        path="/api/events",
        handler=events.stream,
        name="streamEvents",
        summary="Figures of queues, and watched tasks, whenever they change (server-sent events)",
        tag="system",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        query=EventQuery,
        replies={
            200: Reply(
                "events `queue`, `task`, `task_gone`, `snapshot` and `unavailable`, each with "
                "JSON; a snapshot first",
                str,
                media=EVENT_STREAM,
            )
        },
        problems=(400, 404, 503),
    ),
)
