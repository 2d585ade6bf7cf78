"""Lists of tasks and workers."""

from aiohttp import web

from tidemill.store.listing import Wanted
from tidemill_api import incoming, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.context import API
from tidemill_api.encoding import answer
from tidemill_api.requests.queries import TaskQuery, WorkerQuery
from tidemill_api.shapes.lists import listed_task_json, worker_json


async def tasks(request: web.Request) -> web.Response:
    """Return a page of tasks, newest first."""
    asked, caller = incoming.query_of(request, TaskQuery), caller_of(request)
    if asked.queue is not None:
        caller.need((asked.queue,))
    wanted = Wanted(
        status=asked.status,
        queue=asked.queue,
        type=asked.type,
        name=asked.name,
        created_after=asked.created_after,
        created_before=asked.created_before,
        queues=caller.listed,
    )
    listing = request.app[API].store.listing
    page = await listing.tasks(wanted, limit=asked.limit, before=asked.cursor)
    return answer({"tasks": [listed_task_json(task) for task in page.tasks], "next": page.next})


async def workers(request: web.Request) -> web.Response:
    """Return a page of the workers that are there."""
    asked, caller = incoming.query_of(request, WorkerQuery), caller_of(request)
    listing = request.app[API].store.listing
    found = await listing.workers(after=asked.cursor, limit=asked.limit, queues=caller.listed)
    more = found[-1].id if len(found) == asked.limit else None
    shown = [worker_json(within.narrowed_worker(caller, worker)) for worker in found]
    return answer({"workers": shown, "next": None if more is None else str(more)})
