"""Acts on one task: cancel, retry, delete."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from aiohttp import web

from tidemill.acts import Act, Verdict
from tidemill.errors import Conflict
from tidemill_api import incoming, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.context import API, Api
from tidemill_api.encoding import answer
from tidemill_api.shapes.tasks import task_json

_CANCEL: Final = "only a queued, scheduled or running task can be cancelled"
_RETRY: Final = "only a scheduled or failed task can be retried"
_DELETE: Final = "a running task cannot be deleted: cancel it first"


async def cancel(request: web.Request) -> web.Response:
    """Cancel a task: 200 where it waited, 202 where its worker has to be told."""
    api, task_id = await asked_for(request)
    acts = await api.store.acts.cancel([task_id], actor=caller_of(request).name)
    act = checked(acts, task_id, _CANCEL)
    return answer(await _current(api, task_id), 202 if act.verdict is Verdict.REQUESTED else 200)


async def retry(request: web.Request) -> web.Response:
    """Run a scheduled task now, or replay a failed one."""
    api, task_id = await asked_for(request)
    acts = await api.store.acts.retry([task_id], actor=caller_of(request).name)
    return await retried(api, acts, task_id, _RETRY)


async def delete(request: web.Request) -> web.Response:
    """Delete a task and all that is known of it."""
    api, task_id = await asked_for(request)
    checked(await api.store.acts.delete([task_id]), task_id, _DELETE)
    return web.Response(status=204)


async def asked_for(request: web.Request) -> tuple[Api, UUID]:
    """Return the task that an act without a body is for. Raises TaskNotFound for another's."""
    task_id = incoming.task_id(request)
    await incoming.no_body(request)
    api = request.app[API]
    await within.check_task(api, caller_of(request), task_id)
    return api, task_id


async def retried(api: Api, acts: Mapping[UUID, Act], task_id: UUID, rule: str) -> web.Response:
    """Wake workers for a task that was retried, and return it. Raises as `checked`."""
    act = checked(acts, task_id, rule)
    if act.queue is not None:
        api.hints.hint(act.queue)
    return answer(await _current(api, task_id))


def checked(acts: Mapping[UUID, Act], task_id: UUID, rule: str) -> Act:
    """Return what came of the act. Raises TaskNotFound, or Conflict with the status and `rule`."""
    act = acts.get(task_id, Act(Verdict.MISSING))
    if act.verdict is Verdict.MISSING:
        raise incoming.no_task(task_id)
    if act.verdict is Verdict.KEY_TAKEN:
        raise Conflict(f"task {task_id}: another task holds its idempotency key")
    if act.verdict is Verdict.REFUSED:
        raise Conflict(f"task {task_id} is {act.status}: {rule}")
    return act


async def _current(api: Api, task_id: UUID) -> dict[str, object]:
    """Return the task as it is now. Raises TaskNotFound when it was deleted meanwhile."""
    task = await api.store.tasks.get(task_id)
    if task is None:
        raise incoming.no_task(task_id)
    return task_json(task)
