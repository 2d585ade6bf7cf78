"""What one look found, for all clients: encoded once, and found by what each of them asked for.

So a client costs what it is told, not what everybody watches.
"""

from collections.abc import Iterable
from itertools import chain
from uuid import UUID

from tidemill.models import QueueStats
from tidemill.store.watching import WatchedTask
from tidemill_api.events import frames
from tidemill_api.events.client import Client


class Fanout:
    """Figures and tasks as frames. `gone` are tasks that were there before."""

    def __init__(
        self,
        figures: Iterable[QueueStats],
        tasks: Iterable[WatchedTask],
        gone: Iterable[WatchedTask] = (),
    ) -> None:
        """Encode everything."""
        self._figures = {each.queue: frames.queue_frame(each) for each in figures}
        self._tasks = dict[UUID, tuple[str, bytes]]()
        self._of_queue = dict[str, list[UUID]]()
        for task in tasks:
            self._add(task, frames.task_frame(task))
        for task in gone:
            self._add(task, frames.gone_frame(task.id))

    def news(self, client: Client) -> list[bytes]:
        """Return what `client` asked for, as far as it may see it."""
        return [*self._figures_for(client), *self._tasks_for(client)]

    def snapshot(self, client: Client) -> list[bytes]:
        """Return the same, with which of its tasks have gone since it asked, and an end."""
        gone = [frames.gone_frame(each) for each in client.tasks if each not in self._tasks]
        return [*self.news(client), *gone, frames.snapshot_frame()]

    def _add(self, task: WatchedTask, frame: bytes) -> None:
        self._tasks[task.id] = task.queue, frame
        self._of_queue.setdefault(task.queue, []).append(task.id)

    def _figures_for(self, client: Client) -> Iterable[bytes]:
        names = client.queues or client.caller.queues
        if names is None:
            return self._figures.values()
        shown = (each for each in sorted(names) if client.caller.sees(each))
        return [self._figures[each] for each in shown if each in self._figures]

    def _tasks_for(self, client: Client) -> list[bytes]:
        if not (client.queues or client.tasks):
            return []
        of_queues = chain.from_iterable(self._of_queue.get(each, ()) for each in client.queues)
        found = (self._tasks.get(each) for each in dict.fromkeys((*of_queues, *client.tasks)))
        return [each[1] for each in found if each is not None and client.caller.sees(each[0])]
