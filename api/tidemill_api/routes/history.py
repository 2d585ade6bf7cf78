"""What was: figures over time, and scaling decisions."""

from typing import Final

from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Reply
from tidemill_api.handlers import history
from tidemill_api.requests.history import DecisionQuery, HistoryQuery
from tidemill_api.responses.history import DecisionsAnswer, HistoryAnswer
from tidemill_api.routes.queues import NAME

HISTORY: Final = (
    Endpoint(
        method="GET",
        path="/api/stats/history",
        handler=history.stats_history,
        name="getStatsHistory",
        summary="What happened in each minute, hour or day, of a queue or of all together",
        tag="system",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        query=HistoryQuery,
        replies={200: Reply("a point for each stretch, oldest first", HistoryAnswer)},
        problems=(400, 404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/queues/{name}/scaling",
        handler=history.decisions,
        name="listScalingDecisions",
        summary="Why a queue has as many workers: its scaling decisions of a week, newest first",
        tag="queues",
        scope=Scope.READ,
        limit=Limit.PATH,
        parameters=(NAME,),
        query=DecisionQuery,
        replies={200: Reply("a page; empty for a queue that no TaskQueue owns", DecisionsAnswer)},
        problems=(400, 404, 503),
    ),
)
