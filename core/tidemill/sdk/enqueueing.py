"""What goes around every enqueue, whichever way the tasks go."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Final

from tidemill.errors import IdempotencyConflict, InvalidTask, QueueFull, TidemillError
from tidemill.models import NewTask
from tidemill.sdk.carrying import carry_on
from tidemill.sdk.context import current
from tidemill.sdk.handle import Clients, Handle, Stored
from tidemill.sdk.middleware import Middleware

OF_TASKS: Final = (InvalidTask, IdempotencyConflict, QueueFull)
"""Errors that say which of the tasks they are about."""

_FIRST: Final = "tasks[0]."


@contextmanager
def around(
    middleware: Iterable[Middleware], tasks: Sequence[NewTask]
) -> Generator[Sequence[NewTask]]:
    """Enter `middleware`, the first outermost, and lend the tasks to store.

    They are copies where something may change them: the caller may enqueue the originals again.
    """
    chain = tuple(middleware)
    if not chain and current.get() is None:
        yield tasks
        return
    copies = [replace(task) for task in tasks]
    with ExitStack() as stack:
        for each in chain:
            stack.enter_context(each.enqueue(copies))
        carry_on(copies)
        yield copies


def handles(
    tasks: Sequence[NewTask], stored: Sequence[Stored], clients: Clients
) -> "list[Handle[object]]":
    """Return a handle for each stored task; what it asks for later, it asks one of `clients`."""
    return [
        Handle(each.id, task.type, each.queue, each.status, each.created, clients)
        for task, each in zip(tasks, stored, strict=True)
    ]


def unnumber(error: TidemillError) -> None:
    """Name the field of a task that was enqueued alone as its own: `payload.to`.

    Every way in takes a list of tasks, so it comes as `tasks[0].payload.to`.
    """
    if isinstance(error, InvalidTask):
        error.faults = tuple(
            replace(each, field=each.field.removeprefix(_FIRST)) for each in error.faults
        )
        error.args = ("; ".join(map(str, error.faults)),)
    else:
        error.args = tuple(str(each).removeprefix(_FIRST) for each in error.args)
