"""Cron schedules: what they say, pause and resume, a run by hand, their slots."""

import re
from typing import Final

from aiohttp import web

from tidemill.errors import Fault
from tidemill.jsontext import dumps
from tidemill.schedules import NewSchedule, schedule_name_pattern
from tidemill.store.firing import EnqueueRules
from tidemill_api import incoming, reading, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.checking import invalid
from tidemill_api.context import API, Api
from tidemill_api.encoding import answer
from tidemill_api.requests.schedules import ScheduleRequest, SlotsQuery
from tidemill_api.shapes.schedules import schedule_json, slots_json
from tidemill_api.shapes.tasks import task_json
from tidemill_api.types import check_payload

_NAME: Final = re.compile(schedule_name_pattern)


async def show_all(request: web.Request) -> web.Response:
    """Return all schedules by name."""
    api, caller = request.app[API], caller_of(request)
    shown = [
        schedule_json(each)
        for each in await api.store.schedules.list()
        if await within.visible(api, caller, each.definition)
    ]
    return answer({"schedules": shown})


async def show(request: web.Request) -> web.Response:
    """Return a schedule."""
    api, name = await _named(request)
    schedule = await api.store.schedules.get(name)
    if schedule is None:
        raise incoming.not_found("schedule", name)
    return answer(schedule_json(schedule))


async def put(request: web.Request) -> web.Response:
    """Create a schedule (201), or put another in its place (200)."""
    api, name = request.app[API], request.match_info["name"]
    if not _NAME.fullmatch(name):
        rule = "must be a name of at most 200 letters, digits and _.:-"
        raise invalid(Fault("name", rule, name))
    new = (await incoming.body_of(request, ScheduleRequest)).value(name)
    new = await within.scheduled(api, caller_of(request), new)
    await _check_task(api, new)
    schedule, created = await api.store.schedules.put(new)
    return answer(schedule_json(schedule), 201 if created else 200)


async def delete(request: web.Request) -> web.Response:
    """Delete a schedule; its tasks stay."""
    api, name = await _act(request)
    await api.store.schedules.delete(name)
    return web.Response(status=204)


async def pause(request: web.Request) -> web.Response:
    """Let no slot fire."""
    api, name = await _act(request)
    return answer(schedule_json(await api.store.schedules.pause(name)))


async def resume(request: web.Request) -> web.Response:
    """Let slots fire again."""
    api, name = await _act(request)
    return answer(schedule_json(await api.store.schedules.resume(name)))


async def run(request: web.Request) -> web.Response:
    """Enqueue the schedule's task now (201), beside its slots."""
    api, name = await _act(request)
    made = await api.store.schedules.run_now(name, EnqueueRules.of(api.settings))
    api.hints.hint(made.queue)
    task = await api.store.tasks.get(made.id)
    if task is None:
        raise incoming.no_task(made.id)
    return answer(task_json(task), 201, Location=f"{api.prefix}/api/tasks/{made.id}")


async def slots(request: web.Request) -> web.Response:
    """Return the next slots, and the latest that fired."""
    api, name = await _named(request)
    count = incoming.query_of(request, SlotsQuery).count
    upcoming = await api.store.schedules.upcoming(name, count)
    return answer(slots_json(upcoming, await api.store.schedules.fired(name, count)))


async def _check_task(api: Api, new: NewSchedule) -> None:
    """Refuse now what every slot would: a type that is not known, a payload that does not fit."""
    task, most = new.task(), api.settings.max_payload_bytes
    if len(dumps(task.payload).encode()) > most:
        raise reading.too_large(most, "payload")
    check_payload(task, await api.types.checks((task,)))


async def _act(request: web.Request) -> tuple[Api, str]:
    await incoming.no_body(request)
    return await _named(request)


async def _named(request: web.Request) -> tuple[Api, str]:
    api, name = request.app[API], request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise incoming.not_found("schedule", name)
    await within.check_schedule(api, caller_of(request), name)
    return api, name
