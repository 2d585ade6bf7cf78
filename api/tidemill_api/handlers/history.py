"""What was: figures over time, and scaling decisions."""

import re
from typing import Any, Final

from aiohttp import web

from tidemill.errors import Fault
from tidemill.models import queue_name_pattern
from tidemill.store.scaling import RecordedDecision
from tidemill.store.trends import RESOLUTIONS
from tidemill_api import incoming
from tidemill_api.auth.callers import caller_of
from tidemill_api.checking import invalid
from tidemill_api.context import API, Api
from tidemill_api.encoding import answer, utc
from tidemill_api.requests.history import DecisionQuery, HistoryQuery, spot_text

_NAME: Final = re.compile(queue_name_pattern)


async def stats_history(request: web.Request) -> web.Response:
    """Return what happened in each stretch of time."""
    api, caller = request.app[API], caller_of(request)
    asked = incoming.query_of(request, HistoryQuery)
    _check_order(asked)
    seen = caller.listed
    if asked.queue is not None:
        caller.need((asked.queue,))
        await _check_queue(api, asked.queue)
        seen = [asked.queue]
    found = await api.store.trends.points(
        RESOLUTIONS[asked.resolution], since=asked.since, until=asked.until, queues=seen
    )
    told = {"queue": asked.queue, "resolution": asked.resolution}
    return answer({**told, "since": found.since, "until": found.until, "points": found.points})


async def decisions(request: web.Request) -> web.Response:
    """Return a page of scaling decisions, newest first."""
    api, name = request.app[API], request.match_info["name"]
    asked = incoming.query_of(request, DecisionQuery)
    await _check_queue(api, name)
    found = await api.store.scaling.decisions(name, limit=asked.limit, before=asked.cursor)
    full = len(found) == asked.limit
    more = spot_text((found[-1].decided_at, found[-1].id)) if full else None
    return answer({"decisions": [_decision_json(each) for each in found], "next": more})


def _check_order(asked: HistoryQuery) -> None:
    """Raise a 400 problem for a stretch that would end before it begins."""
    if asked.since is not None and asked.until is not None and asked.since > asked.until:
        raise invalid(Fault("since", "must not be after until", asked.since.isoformat()))


async def _check_queue(api: Api, name: str) -> None:
    """Raise NotFound for a queue that does not exist."""
    if not _NAME.fullmatch(name) or await api.store.queues.get(name) is None:
        raise incoming.not_found("queue", name)


def _decision_json(each: RecordedDecision) -> dict[str, Any]:
    return {
        "decided_at": utc(each.decided_at),
        "target": each.target,
        "queue": each.queue,
        "replicas": each.replicas,
        "desired": each.desired,
        "reason": each.reason,
        "inputs": each.inputs,
        "clamps": each.clamps,
    }
