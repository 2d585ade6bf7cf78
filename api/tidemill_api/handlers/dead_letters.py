"""Dead letters: tasks that failed for good."""

from typing import Final

from aiohttp import web

from tidemill.states import Status
from tidemill_api import incoming, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.context import API
from tidemill_api.encoding import answer
from tidemill_api.handlers.acts import asked_for, checked, retried
from tidemill_api.handlers.bulk import done
from tidemill_api.requests.bulk import DeadLettersRequest
from tidemill_api.requests.queries import DeadLetterQuery, cursor_of
from tidemill_api.shapes.lists import dead_letter_json

_RULE: Final = "only a failed task is a dead letter"


async def show(request: web.Request) -> web.Response:
    """Return a page of dead letters, latest failure first."""
    asked, caller = incoming.query_of(request, DeadLetterQuery), caller_of(request)
    if asked.queue is not None:
        caller.need((asked.queue,))
    found = await request.app[API].store.dead_letters.list(
        queue=asked.queue,
        type=asked.type,
        error_type=asked.error_type,
        before=asked.cursor,
        limit=asked.limit,
        queues=caller.listed,
    )
    full = len(found) == asked.limit
    more = cursor_of((found[-1].failed_at, found[-1].task_id)) if full else None
    return answer({"dead_letters": [dead_letter_json(each) for each in found], "next": more})


async def replay(request: web.Request) -> web.Response:
    """Run a dead letter's task again, as if it were new."""
    api, task_id = await asked_for(request)
    actor = caller_of(request).name
    acts = await api.store.acts.retry([task_id], actor=actor, only=Status.FAILED)
    return await retried(api, acts, task_id, _RULE)


async def delete(request: web.Request) -> web.Response:
    """Delete a dead letter: the task and all that is known of it."""
    api, task_id = await asked_for(request)
    checked(await api.store.acts.delete([task_id], only=Status.FAILED), task_id, _RULE)
    return web.Response(status=204)


async def replay_many(request: web.Request) -> web.Response:
    """Replay the dead letters that a filter finds."""
    api, caller = request.app[API], caller_of(request)
    asked = await incoming.body_of(request, DeadLettersRequest)
    act = api.store.bulk.retry(
        within.narrowed(caller, asked.filter.value()), asked.reach(), actor=caller.name
    )
    return done(api, await act)


async def purge(request: web.Request) -> web.Response:
    """Delete the dead letters that a filter finds, tasks and all."""
    api, caller = request.app[API], caller_of(request)
    asked = await incoming.body_of(request, DeadLettersRequest)
    return done(
        api,
        await api.store.bulk.delete(within.narrowed(caller, asked.filter.value()), asked.reach()),
    )
