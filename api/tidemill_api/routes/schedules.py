"""Cron schedules."""

from typing import Final

from tidemill.schedules import schedule_name_pattern
from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Parameter, Reply
from tidemill_api.handlers import schedules
from tidemill_api.requests.schedules import ScheduleRequest, SlotsQuery
from tidemill_api.responses.schedules import ScheduleAnswer, SchedulesAnswer, SlotsAnswer
from tidemill_api.responses.tasks import TaskAnswer
from tidemill_api.routes.common import BODY, JSON, NO_BODY

_NAME: Final = Parameter(
    "name", "path", "the schedule's name", {"type": "string", "pattern": schedule_name_pattern}
)
_PATH: Final = "/api/schedules/{name}"

SCHEDULES: Final = (
    Endpoint(
        method="GET",
        path="/api/schedules",
        handler=schedules.show_all,
        name="listSchedules",
        summary="All cron schedules",
        tag="schedules",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        replies={200: Reply("the schedules by name", SchedulesAnswer)},
        problems=(503,),
    ),
    Endpoint(
        method="GET",
        path=_PATH,
        handler=schedules.show,
        name="getSchedule",
        tagged=True,
        summary="A cron schedule",
        tag="schedules",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        parameters=(_NAME,),
        replies={200: Reply("the schedule", ScheduleAnswer)},
        problems=(404, 503),
    ),
    Endpoint(
        method="PUT",
        path=_PATH,
        handler=schedules.put,
        name="putSchedule",
        summary="Create a cron schedule, or put another in its place",
        tag="schedules",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(_NAME,),
        bodies={JSON: ScheduleRequest},
        replies={200: Reply("replaced", ScheduleAnswer), 201: Reply("created", ScheduleAnswer)},
        problems=(*BODY, 503),
    ),
    Endpoint(
        method="DELETE",
        path=_PATH,
        handler=schedules.delete,
        name="deleteSchedule",
        summary="Delete a cron schedule; its tasks stay",
        tag="schedules",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(_NAME,),
        replies={204: Reply("deleted")},
        problems=(*NO_BODY, 404, 503),
    ),
    Endpoint(
        method="POST",
        path=f"{_PATH}/pause",
        handler=schedules.pause,
        name="pauseSchedule",
        summary="Let no slot fire",
        tag="schedules",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(_NAME,),
        replies={200: Reply("the schedule, paused", ScheduleAnswer)},
        problems=(*NO_BODY, 404, 503),
    ),
    Endpoint(
        method="POST",
        path=f"{_PATH}/resume",
        handler=schedules.resume,
        name="resumeSchedule",
        summary="Let slots fire again; those that came meanwhile were missed",
        tag="schedules",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(_NAME,),
        replies={200: Reply("the schedule", ScheduleAnswer)},
        problems=(*NO_BODY, 404, 503),
    ),
    Endpoint(
        method="POST",
        path=f"{_PATH}/run",
        handler=schedules.run,
        name="runSchedule",
        summary="Enqueue its task now, beside its slots; twice is two tasks",
        tag="schedules",
        scope=Scope.ADMIN,
        limit=Limit.HANDLER,
        parameters=(_NAME,),
        replies={201: Reply("the task", TaskAnswer, headers={"Location": "the task's path"})},
        problems=(*NO_BODY, 404, 429, 503),
    ),
    Endpoint(
        method="GET",
        path=f"{_PATH}/slots",
        handler=schedules.slots,
        name="listScheduleSlots",
        summary="The next slots, and the latest that became tasks",
        tag="schedules",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        parameters=(_NAME,),
        query=SlotsQuery,
        replies={200: Reply("the slots", SlotsAnswer)},
        problems=(400, 404, 503),
    ),
)
