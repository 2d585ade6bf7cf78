"""Run a handler here and now, as a worker would: no database, no process, the real exceptions."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from pydantic_core import from_json, to_json

from tidemill.app import App
from tidemill.sdk.context import DONE, Context, Stopped, StopReason, current
from tidemill.sdk.definition import TaskDefinition
from tidemill.sdk.resources import Opener
from tidemill_worker.around import around
from tidemill_worker.conclude import TimedOut, storable
from tidemill_worker.resources import Resources

R = TypeVar("R")


@dataclass
class Link:
    """What a handler told its worker, and what it is told: `run_task(…, link=Link())`."""

    progressed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Every `context.progress(…)`; a worker stores about one a second"""
    renewed: int = 0
    """How many `context.heartbeat()` there were"""
    lost_after: int | None = None
    """The lease is lost once it was renewed so often: the next heartbeat raises Stopped"""

    def progress(self, value: dict[str, Any]) -> None:
        """Keep what was said."""
        self.progressed.append(value)

    def renew(self) -> Awaitable[None]:
        """Renew, or raise."""
        if self.lost_after is not None and self.renewed >= self.lost_after:
            raise Stopped(f"the task must stop: {StopReason.LEASE_LOST}")
        self.renewed += 1
        return DONE


async def run_task(
    app: App,
    task: TaskDefinition[..., R],
    payload: Mapping[str, Any] | None = None,
    *,
    resources: Mapping[Opener, Any] | None = None,
    link: Link | None = None,
    **context: Any,
) -> R:
    """Run the handler of `task` with `payload` and return what it returns, or raise what it raises.

    As in a worker: the payload becomes JSON and is decoded by the type hints, resources are opened
    and closed, `app`'s middleware goes around, a coroutine past its timeout is cancelled, a plain
    function has a thread, and a result must be JSON. Retries are the worker's: there are none here.
    A handler of `isolation="process"` runs in this process.

    `resources`: values for openers that are not to be called. `context`: fields of `Context` that
    differ, such as `attempt=3` or `stop_reason="cancelled"`. Raises InvalidTask for a payload that
    does not fit, TimedOut past the timeout, Unstorable for a result that is no JSON.
    """
    stored = from_json(to_json(task.codec.encode(payload or {})))
    made = _context(task, context, link or Link())
    token = current.set(made)
    try:
        async with Resources([task], resources) as opened:
            arguments = task.codec.decode(stored) | opened.of(task)
            call = partial(_called, task, made, arguments)
            chain = around(app.middleware)
            result: R = await (call() if chain is None else chain(made, call))
    finally:
        current.reset(token)
    storable(result)
    return result


def _context(task: TaskDefinition[..., Any], given: dict[str, Any], link: Link) -> Context:
    timeout = given.get("timeout_seconds", task.defaults.timeout_seconds or 300.0)
    fields: dict[str, Any] = {
        "id": uuid4(),
        "type": task.name,
        "queue": task.defaults.queue or "default",
        "max_retries": 3 if task.defaults.max_retries is None else task.defaults.max_retries,
        "timeout_seconds": timeout,
        "deadline": time.monotonic() + timeout,
        "link": link,
    }
    if "stop_reason" in given:
        given["stop_reason"] = StopReason(given["stop_reason"])
    return Context(**fields | given)


async def _called(task: TaskDefinition[..., Any], made: Context, arguments: dict[str, Any]) -> Any:
    handler = partial(task.function, *((made,) if task.wants_context else ()), **arguments)
    if not task.is_async:
        return await asyncio.to_thread(handler)
    limit = asyncio.timeout(made.timeout_seconds)
    try:
        async with limit:
            return await handler()
    except TimeoutError:
        if limit.expired():
            raise TimedOut(f"ran past its timeout of {made.timeout_seconds:g} s") from None
        raise
