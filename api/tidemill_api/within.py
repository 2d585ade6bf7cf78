"""Keeps a token that is limited to queues to them: what its requests may touch, and what they see.

What is named by its queue and is another's is refused (403, whether it exists or not). What is
named otherwise, a task, a worker, a schedule, is not there (404). Nobody else pays for any of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from tidemill.acts import TaskFilter
from tidemill.errors import Fault
from tidemill.models import NewTask
from tidemill.schedules import NewSchedule
from tidemill.store.listing import ListedWorker
from tidemill_api import incoming
from tidemill_api.auth.callers import FORBIDDEN, Caller, not_for
from tidemill_api.context import Api
from tidemill_api.problems import Problem

ALL: Final = "*"
_MOST_FAULTS: Final = 100


async def placed(
    api: Api, caller: Caller, tasks: Sequence[NewTask], *, batch: bool = False
) -> None:
    """Name the queue that each of `tasks` goes to, also by its type's default.

    So it goes where it was allowed to, even if the default changes now. Raises a 403 problem that
    names each task whose queue is another.
    """
    if caller.queues is None:
        return
    queues = await api.types.queues_of(tasks)
    if not caller.queues.issuperset(queues):
        await api.types.refresh()  # a default may have changed a moment ago
        queues = await api.types.queues_of(tasks)
    strangers = [
        Fault(f"tasks[{place}].queue" if batch else "queue", "the token is not for it", queue)
        for place, queue in enumerate(queues)
        if queue not in caller.queues
    ]
    if strangers:
        problem = not_for(str(strangers[0].value), strangers[0].field)
        problem.faults = strangers[:_MOST_FAULTS]
        raise problem
    for task, queue in zip(tasks, queues, strict=True):
        task.queue = queue


async def check_task(api: Api, caller: Caller, task_id: UUID) -> None:
    """Raise TaskNotFound for a task that is not there for `caller`."""
    if caller.queues is not None and not await seen(api, caller, [task_id]):
        raise incoming.no_task(task_id)


async def seen(api: Api, caller: Caller, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Return those of the tasks that are there for `caller`."""
    if caller.queues is None:
        return frozenset(ids)
    return await existing(api, caller, ids)


async def existing(api: Api, caller: Caller, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Return those of the tasks that exist and are there for `caller`."""
    queues = await api.store.tasks.queues(ids)
    return frozenset(task for task, queue in queues.items() if caller.sees(queue))


async def sees_worker(api: Api, caller: Caller, worker_id: int) -> bool:
    """Return whether a worker claims only from queues that `caller` is for."""
    if caller.queues is None:
        return True
    queues = await api.store.workers.queues(worker_id)
    return queues is not None and caller.queues.issuperset(queues)


async def check_worker(api: Api, caller: Caller, worker_id: int) -> None:
    """Raise NotFound for a worker that is not there for `caller`."""
    if not await sees_worker(api, caller, worker_id):
        raise incoming.not_found("worker", worker_id)


def narrowed_worker(caller: Caller, worker: ListedWorker) -> ListedWorker:
    """Return the worker with those of its queues that are there for `caller`."""
    if caller.queues is None:
        return worker
    return replace(worker, queues=[q for q in worker.queues if q == ALL or caller.sees(q)])


def check_registration(caller: Caller, queues: Sequence[str]) -> None:
    """Raise a 403 problem unless `caller` is for all queues that a worker wants to claim from."""
    if caller.queues is not None and ALL in queues:
        detail = f'queues: "{ALL}" is all queues; the token is limited to some'
        raise Problem(FORBIDDEN, "forbidden", detail)
    caller.need(queues)


def narrowed(caller: Caller, found: TaskFilter) -> TaskFilter:
    """Return the filter within the caller's queues. Raises a 403 problem if it names another."""
    if caller.queues is None:
        return found
    if found.queue is not None:
        caller.need((found.queue,))
    return replace(found, queues=tuple(sorted(caller.queues)))


async def visible(api: Api, caller: Caller, schedule: NewSchedule) -> bool:
    """Return whether a schedule is there for `caller`: by the queue that its tasks go to."""
    if caller.queues is None:
        return True
    [queue] = await api.types.queues_of([schedule.task()])
    return caller.sees(queue)


async def check_schedule(api: Api, caller: Caller, name: str) -> None:
    """Raise NotFound for a schedule that is not there for `caller`."""
    if caller.queues is None:
        return
    known = await api.store.schedules.get(name)
    if known is None or not await visible(api, caller, known.definition):
        raise incoming.not_found("schedule", name)


async def scheduled(api: Api, caller: Caller, new: NewSchedule) -> NewSchedule:
    """Return `new` with the queue of its tasks named, as `placed`. Raises a 403 problem.

    Also where it would take the place of a schedule that `caller` does not see.
    """
    if caller.queues is None:
        return new
    task = new.task()
    await placed(api, caller, [task])
    known = await api.store.schedules.get(new.name)
    if known is not None and not await visible(api, caller, known.definition):
        detail = "name: a schedule of this name is of a queue that the token is not for"
        raise Problem(FORBIDDEN, "forbidden", detail)
    return replace(new, queue=task.queue)
