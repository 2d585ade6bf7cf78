"""A batch on its way to the table: checked task by task, kept in few bytes, stored at its end.

Nothing goes to the database before the last byte of the body has come: a client that sends slowly
would hold a connection, a transaction and the locks on its keys for as long as it likes, and the
pool has ten connections. What waits is the payloads' compact text, which the budget of bodies
counts, and never the parsed tasks of more than one part.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from tidemill.errors import Fault, InvalidTask
from tidemill.models import Enqueued, NewTask
from tidemill.store.parts import MOST_BYTES, MOST_TASKS, Part, moved, told
from tidemill.tracing import TRACEPARENT, TRACESTATE, of_request
from tidemill_api import checking, reading, within
from tidemill_api.auth.callers import caller_of
from tidemill_api.budget import Held
from tidemill_api.context import Api
from tidemill_api.problems import Problem
from tidemill_api.strictjson import MAX_FAULTS, BadJson
from tidemill_api.types import Checks, payload_faults

TASKS_A_TURN: Final = 200
BYTES_A_TURN: Final = 256 * 1024
"""Checked in one go; between turns other requests are answered."""


class Gathering:
    """The tasks of one request, added in their order."""

    def __init__(self, api: Api, request: web.Request, held: Held) -> None:
        """Start with none; `held` grows with what is kept."""
        self._api = api
        self._caller = caller_of(request)
        self._trace = trace_of(request.headers)
        self._held = held
        self._tasks: list[NewTask] = []
        self._size = self._turn_tasks = self._turn_bytes = self._kept = 0
        self._long: list[int] = []
        self._parts: list[Part] = []
        self._faults: list[Fault] = []
        self._malformed = False
        self.count = 0

    async def add(self, value: Any, size: int, *, long: bool) -> None:
        """Take the next task, of about `size` bytes; `long`: its payload may be too large.

        Raises InvalidTask and problems, for this task or those before.
        """
        try:
            task = checking.task_of(value, f"tasks[{self._counted()}]")
        except InvalidTask as error:
            self._refuse(error.faults)
        else:
            if long:
                self._long.append(len(self._tasks))
            self._tasks.append(task)
        self._size += size
        if len(self._tasks) >= MOST_TASKS or self._size >= MOST_BYTES:
            await self._pack()
        await self._pause(size)

    def malformed(self, faults: Sequence[Fault]) -> None:
        """Take note of the next task, which is no JSON. Raises BadJson when it is enough."""
        self._counted()
        self._malformed = True
        self._refuse(faults)

    async def store(self) -> list[Enqueued]:
        """Store what was added, all or nothing. Raises InvalidTask, BadJson and problems."""
        if self._faults:
            self._raise()
        if not self.count:
            raise InvalidTask(Fault("tasks", "must have at least 1 entry"))
        await self._pack()
        return await self._api.enqueuer.many(self._parts)

    @property
    def types(self) -> list[str]:
        """The tasks' types."""
        return [kind for part in self._parts for kind in part.types]

    def _counted(self) -> int:
        most = self._api.settings.max_batch_tasks
        if self.count >= most:
            raise too_many(most)
        self.count += 1
        return self.count - 1

    def _refuse(self, faults: Sequence[Fault]) -> None:
        """Take note of faults: nothing will be stored, so what was is let go."""
        self._faults.extend(faults)
        self._tasks.clear()
        self._parts.clear()
        if len(self._faults) >= MAX_FAULTS:
            self._raise()

    def _raise(self) -> None:
        kind = BadJson if self._malformed else InvalidTask
        raise kind(*self._faults[:MAX_FAULTS])

    async def _pause(self, size: int) -> None:
        self._turn_tasks += 1
        self._turn_bytes += size
        if self._turn_tasks >= TASKS_A_TURN or self._turn_bytes >= BYTES_A_TURN:
            self._turn_tasks = self._turn_bytes = 0
            await asyncio.sleep(0)

    async def _pack(self) -> None:
        """Check the tasks in hand together, and keep them as the statement takes them."""
        tasks, long = self._tasks, self._long
        self._tasks, self._long, self._size = [], [], 0
        if self._faults or not tasks:
            return
        try:
            part = await self._checked(tasks, long)
        except (InvalidTask, Problem) as error:
            renumber(error, self.count - len(tasks))
            raise
        self._parts.append(part)
        self._kept += part.size
        self._held.grow(self._kept)

    async def _checked(self, tasks: list[NewTask], long: list[int]) -> Part:
        api = self._api
        for place in long:
            bound_payload(tasks[place], api.settings.max_payload_bytes, f"tasks[{place}].payload")
        traced(tasks, self._trace)
        await within.placed(api, self._caller, tasks, batch=True)
        await _check_payloads(tasks, await api.types.checks(tasks, batch=True))
        return api.enqueuer.part(tasks)


async def _check_payloads(tasks: list[NewTask], checks: Checks) -> None:
    """Raise InvalidTask with the faults of all payloads."""
    if checks.keys().isdisjoint({task.type for task in tasks}):
        return
    faults: list[Fault] = []
    for place, task in enumerate(tasks):
        if place % TASKS_A_TURN == 0:
            await asyncio.sleep(0)
        faults.extend(payload_faults(task, checks, place))
        if len(faults) >= MAX_FAULTS:
            break
    checking.raise_all(faults)


def too_many(most: int) -> InvalidTask:
    """Return the error of a batch of more than `most` tasks."""
    return InvalidTask(Fault("tasks", f"must have at most {most} entries"))


def renumber(error: InvalidTask | Problem, by: int) -> None:
    """Name the tasks of `error` by their places in the batch, `by` more than in their part."""
    if isinstance(error, InvalidTask):
        told(error, lambda text: moved(text, by))
        return
    error.detail = moved(error.detail, by)
    error.faults = [Fault(moved(f.field, by), f.rule, f.value) for f in error.faults]


def trace_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what tells the trace of a request with `headers`; nothing without one."""
    traceparent = headers.get(TRACEPARENT)
    if traceparent is None:
        return {}
    return of_request(traceparent, headers.get(TRACESTATE))


def traced(tasks: Sequence[NewTask], trace: dict[str, str]) -> None:
    """Put the tasks that name no trace of their own into the request's."""
    for task in tasks if trace else ():
        if TRACEPARENT not in (task.headers or {}):
            task.headers = trace | (task.headers or {})


def bound_payload(task: NewTask, most: int, field: str) -> None:
    """Raise a 413 problem for a payload past `most` bytes of JSON."""
    text = json.dumps(task.payload, ensure_ascii=False, separators=(",", ":"))
    if len(text) > most or len(text.encode()) > most:
        raise reading.too_large(most, field)
