"""What the tables say of watched tasks, and which of them have changed since the last look.

A task is watched by its id, or because its queue is: of a queue the newest tasks, each until its
end has been told. So what a look costs depends on what is watched, not on how many watch it, nor
on how many tasks there are.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from tidemill.store import Store
from tidemill.store.listing import Wanted
from tidemill.store.watching import WatchedTask

NEWEST: Final = 100
"""Tasks of a watched queue that are found by one look."""

MOST_OF_QUEUE: Final = 1000
"""Tasks of a watched queue that are followed at once; the oldest of more are let go."""

_BATCH: Final = 1000


@dataclass(slots=True)
class Changes:
    """What a look found: `now` all watched tasks, of them what `changed`, and what is `gone`."""

    now: dict[UUID, WatchedTask] = field(default_factory=dict[UUID, WatchedTask])
    changed: list[WatchedTask] = field(default_factory=list[WatchedTask])
    gone: list[WatchedTask] = field(default_factory=list[WatchedTask])


class TaskWatch:
    """The watched tasks of one process."""

    def __init__(self, store: Store) -> None:
        """Read `store`."""
        self._store = store
        self._followed: dict[str, dict[UUID, None]] = {}
        self._known: dict[UUID, WatchedTask] = {}

    async def look(
        self, ids: AbstractSet[UUID], queues: AbstractSet[str], stirred: Iterable[str]
    ) -> Changes:
        """Return what has changed of tasks `ids` and those of `queues`.

        Of the queues only those `stirred` can have new tasks. Raises what the store raises, and
        then has forgotten nothing.
        """
        for queue in self._followed.keys() - queues:
            del self._followed[queue]
        for queue in queues & set(stirred):
            await self._find_newest(queue)
        followed = {each for some in self._followed.values() for each in some}
        watched = ids | followed
        now = await self._read(list(watched))
        gone = [task for key, task in self._known.items() if key in watched and key not in now]
        changed = [task for key, task in now.items() if self._known.get(key) != task]
        self._known = now
        return Changes(now, changed, gone)

    def forget(self) -> None:
        """Forget all: nobody watches."""
        self._followed.clear()
        self._known.clear()

    async def _find_newest(self, queue: str) -> None:
        page = await self._store.listing.tasks(Wanted(queue=queue), limit=NEWEST)
        followed = self._followed.get(queue, {})
        going = [
            key for key in followed if key in self._known and not self._known[key].status.final
        ]
        newest = [task.id for task in reversed(page.tasks)]
        self._followed[queue] = dict.fromkeys((*going, *newest)[-MOST_OF_QUEUE:])

    async def _read(self, ids: Sequence[UUID]) -> dict[UUID, WatchedTask]:
        found: dict[UUID, WatchedTask] = {}
        for start in range(0, len(ids), _BATCH):
            found |= await self._store.watching.tasks(ids[start : start + _BATCH])
        return found
