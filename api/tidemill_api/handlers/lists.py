"""Lists of tasks and workers."""

from aiohttp import web

from tidemill.store.listing import Wanted
from tidemill_api import incoming
from tidemill_api.context import API
from tidemill_api.encoding import answer
from tidemill_api.requests.queries import TaskQuery, WorkerQuery
from tidemill_api.shapes.lists import listed_task_json, worker_json


async def tasks(request: web.Request) -> web.Response:
    """Return a page of tasks, newest first."""
    asked = incoming.query_of(request, TaskQuery)
    wanted = Wanted(
        status=asked.status,
        queue=asked.queue,
        type=asked.type,
        name=asked.name,
        created_after=asked.created_after,
        created_before=asked.created_before,
    )
    listing = request.app[API].store.listing
    page = await listing.tasks(wanted, limit=asked.limit, before=asked.cursor)
    return answer({"tasks": [listed_task_json(task) for task in page.tasks], "next": page.next})


async def workers(request: web.Request) -> web.Response:
    """Return a page of the workers that are there."""
    asked = incoming.query_of(request, WorkerQuery)
    listing = request.app[API].store.listing
    found = await listing.workers(after=asked.cursor, limit=asked.limit)
    more = found[-1].id if len(found) == asked.limit else None
    shown = [worker_json(worker) for worker in found]
    return answer({"workers": shown, "next": None if more is None else str(more)})
