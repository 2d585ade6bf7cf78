"""What a user may put around every enqueue and every run of an app's tasks."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from tidemill.models import NewTask
from tidemill.sdk.context import Context

Call = Callable[[], Awaitable[Any]]


class Middleware:
    """Override what you need; each method does nothing but pass on.

    `App(middleware=[First(), Second()])`: the first is outermost. What a method raises, the
    producer gets, or ends the attempt as if the handler had raised it.
    """

    @contextmanager
    def enqueue(self, tasks: Sequence[NewTask]) -> Generator[None]:
        """Go around one enqueue of `tasks`, which may be changed before the `yield`.

        A plain context manager: enqueues are asynchronous, synchronous, or in a transaction of
        the producer's own.
        """
        del tasks
        yield

    async def run(self, context: Context, call: Call) -> Any:
        """Go around one run; `call()` runs the handler and returns its result.

        On the worker's event loop, also for handlers in threads and processes.
        """
        del context
        return await call()
