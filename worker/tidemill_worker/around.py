"""Middleware around the runs of an app: several are put together as one."""

from collections.abc import Awaitable, Callable, Sequence
from functools import reduce
from typing import Any

from tidemill.sdk.context import Context
from tidemill.sdk.middleware import Call, Middleware

Around = Callable[[Context, Call], Awaitable[Any]]


def around(middleware: Sequence[Middleware]) -> Around | None:
    """Return what goes around each run, the first outermost; None when nothing does.

    Middleware that leaves `run` as it is costs no run anything.
    """
    wanted = [each for each in middleware if type(each).run is not Middleware.run]
    return reduce(_within, reversed(wanted), None)


def _within(inner: Around | None, outer: Middleware) -> Around:
    if inner is None:
        return outer.run

    def run(context: Context, call: Call) -> Awaitable[Any]:
        return outer.run(context, lambda: inner(context, call))

    return run
