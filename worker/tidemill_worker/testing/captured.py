"""Tasks that are enqueued are only noted down: tests of code that enqueues need no database."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID, uuid4

from tidemill.app import App
from tidemill.client import Producer
from tidemill.errors import TidemillError
from tidemill.models import HistoryEvent, NewTask, Task
from tidemill.sdk.handle import Stored
from tidemill.states import Status
from tidemill_worker.testing.matching import Kind, chosen, listed
from tidemill_worker.testing.swapping import client_of


class NotStored(TidemillError):
    """Something was asked of a task that was only captured: that takes a database."""


class Captured:
    """What was enqueued while it was captured, in order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.tasks: list[NewTask] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.tasks)

    def clear(self) -> None:
        """Forget them."""
        self.tasks.clear()

    def assert_enqueued(
        self,
        task: Kind,
        payload: Mapping[str, Any] | None = None,
        *,
        count: int | None = None,
        **options: Any,
    ) -> list[NewTask]:
        """Return the tasks of this type that have `payload` in theirs.

        `options` are fields of `NewTask`, such as `queue` or `delay_seconds`. Raises
        AssertionError, with a list of what was enqueued, unless there are `count` (None: any).
        """
        return chosen(self.tasks, task, payload, count, options)

    def assert_nothing_enqueued(self, task: Kind | None = None) -> None:
        """Raise AssertionError when anything was enqueued, or anything of this type."""
        for kind in {each.type for each in self.tasks} if task is None else [task]:
            chosen(self.tasks, kind, None, 0, {})

    def __repr__(self) -> str:
        """Return what an assertion about it shows."""
        return f"<{len(self)} captured tasks>\n{listed(self.tasks)}".rstrip()


class CapturingClient(Producer):
    """Stands in for a client: notes what is enqueued, and says it is stored."""

    def __init__(self, captured: Captured) -> None:
        """Note in `captured`."""
        self._captured = captured

    async def store(self, tasks: Sequence[NewTask]) -> list[Stored]:
        """Note tasks."""
        return self._noted(tasks)

    async def store_in(self, connection: object, tasks: Sequence[NewTask]) -> list[Stored]:
        """Note tasks, whatever becomes of the connection's transaction."""
        del connection
        return self._noted(tasks)

    def store_in_sync(self, connection: object, tasks: Sequence[NewTask]) -> list[Stored]:
        """Note tasks, whatever becomes of the connection's transaction."""
        del connection
        return self._noted(tasks)

    async def get(self, task_id: UUID) -> Task:
        """Refuse: nothing is stored."""
        raise _not_stored(task_id)

    async def history(self, task_id: UUID) -> list[HistoryEvent]:
        """Refuse: nothing is stored."""
        raise _not_stored(task_id)

    async def wait(self, task_id: UUID, seconds: float | None) -> Task:
        """Refuse: nothing will run."""
        del seconds
        raise _not_stored(task_id)

    async def cancel(self, task_id: UUID) -> Task:
        """Refuse: nothing is stored."""
        raise _not_stored(task_id)

    async def retry(self, task_id: UUID) -> Task:
        """Refuse: nothing is stored."""
        raise _not_stored(task_id)

    def copy(self) -> Self:
        """Return itself: no event loop matters to it."""
        return self

    async def close(self) -> None:
        """Close nothing."""

    def _noted(self, tasks: Sequence[NewTask]) -> list[Stored]:
        self._captured.tasks += [replace(each) for each in tasks]
        return [_stored(each) for each in tasks]


@contextmanager
def capture(app: App) -> Generator[Captured]:
    """Note down what `app` enqueues inside the block, in place of storing it.

    Payloads are checked by the handlers' type hints. All that the database checks - queues, keys,
    limits - is not: take a `TestWorker` for that.
    """
    captured = Captured()
    with client_of(app, CapturingClient(captured)):
        yield captured


def _stored(task: NewTask) -> Stored:
    later = bool(task.delay_seconds) or (
        task.run_at is not None and task.run_at > datetime.now(UTC)
    )
    status = Status.SCHEDULED if later else Status.QUEUED
    return Stored(uuid4(), status, True, task.queue or "default")


def _not_stored(task_id: UUID) -> NotStored:
    return NotStored(f"task {task_id} was captured, not stored: take a TestWorker for that")
