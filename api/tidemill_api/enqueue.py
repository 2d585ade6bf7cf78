"""Enqueues: concurrent single ones share an insert, each acknowledged after its commit.

Tasks with an idempotency key go in batches of their own, because they may wait for another
producer's key. When a shared insert is refused, nothing of it was stored: the tasks that core
names get their error, or else the batch is halved until the guilty one is alone, and the others
are stored as if it had never been there. What is wrong with a queue or a type (full, unknown) is
found out once: the others of its kind get the same error without another try.
"""

from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final

from tidemill.batching import Batcher, Receive
from tidemill.errors import DatabaseRefused, DatabaseUnavailable, OutcomeUnknown
from tidemill.models import Enqueued, NewTask
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store.parts import Part
from tidemill.store.tasks import TaskStore, enqueue_arguments
from tidemill_api import blame
from tidemill_api.metrics import ApiMetrics

MOST_TOGETHER: Final = 1000
MOST_WAITING: Final = 10_000
KEYED_LANES: Final = 4
"""One insert at a time makes the largest batches; keyed ones may wait for another's commit."""

MOST_STUCK: Final = 3
"""Tasks of one batch that may each wait out the lock limit (2 s) before the rest is given up."""

Result = Enqueued | Exception


class Enqueuer:
    """The one way in for the API's tasks."""

    def __init__(
        self, store: TaskStore, hints: Hints, metrics: ApiMetrics, settings: Settings
    ) -> None:
        """Store with `store`, wake workers with `hints`, count in `metrics`."""
        self._store = store
        self._hints = hints
        self._metrics = metrics
        self._unknown_types = settings.unknown_types
        self._max_payload_bytes = settings.max_payload_bytes
        self._create_queues = settings.create_queues_on_enqueue == "on"
        self._plain: Batcher[NewTask, Enqueued] = Batcher(
            self._flush, most=MOST_TOGETHER, lanes=1, most_waiting=MOST_WAITING
        )
        self._keyed: Batcher[NewTask, Enqueued] = Batcher(
            self._flush, most=MOST_TOGETHER, lanes=KEYED_LANES, most_waiting=MOST_WAITING
        )

    def one(self, task: NewTask) -> Awaitable[Enqueued]:
        """Store a task together with others that come at the same time.

        Raises InvalidTask, IdempotencyConflict, QueueFull, Overloaded, DatabaseUnavailable.
        """
        batcher = self._plain if task.idempotency_key is None else self._keyed
        return batcher.submit(task)

    def offer(self, task: NewTask, receive: Receive[Enqueued]) -> None:
        """Store a task without a key as `one` does; `receive` is called with what comes of it.

        Raises Overloaded.
        """
        self._plain.offer(task, receive)

    def part(self, tasks: Sequence[NewTask]) -> Part:
        """Return some tasks of a batch, ready to be stored. Raises InvalidTask."""
        return Part(
            enqueue_arguments(
                tasks, self._unknown_types, self._max_payload_bytes, self._create_queues
            )
        )

    async def many(self, parts: Sequence[Part]) -> list[Enqueued]:
        """Store a batch or nothing of it, in one transaction. Raises as `one`; places are kept."""
        made = await self._store.enqueue_parts(parts)
        self._stored([kind for part in parts for kind in part.types], made)
        return made

    async def close(self) -> None:
        """Finish what was accepted."""
        await self._plain.close()
        await self._keyed.close()

    async def _flush(self, tasks: list[NewTask]) -> Sequence[Result]:
        results: dict[int, Result] = {}
        refused: dict[blame.Kind, Exception] = {}
        parts, stuck = [list(range(len(tasks)))], 0
        while parts:
            part = _without(refused, parts.pop(), tasks, results)
            if not part:
                continue
            try:
                made = await self._insert([tasks[place] for place in part])
            except (DatabaseUnavailable, DatabaseRefused) as error:
                waited = blame.waited_for_another(error)
                stuck += waited
                if not waited or stuck > MOST_STUCK:
                    # Nobody's fault: for all that is not stored, what is gets acknowledged.
                    results.update(
                        dict.fromkeys((p for each in parts for p in each), _unsent(error))
                    )
                    results.update(dict.fromkeys(part, error))
                    break
                parts.extend(_one_by_one(error, part, results))
            except Exception as error:  # noqa: BLE001 - each goes to the one task that caused it
                rest, guilty = blame.innocent(error, part, tasks)
                parts.extend(rest)
                results.update(guilty)
                refused.update(blame.kinds(guilty, tasks))
            else:
                results.update(zip(part, made, strict=True))
        return [results[place] for place in range(len(tasks))]

    async def _insert(self, tasks: Sequence[NewTask]) -> list[Enqueued]:
        made = await self._store.enqueue(
            tasks,
            unknown_types=self._unknown_types,
            max_payload_bytes=self._max_payload_bytes,
            create_queues=self._create_queues,
        )
        self._stored([task.type for task in tasks], made)
        return made

    def _stored(self, types: Sequence[str], made: Sequence[Enqueued]) -> None:
        self._metrics.batch_size.observe(len(made))
        kinds = Counter(
            (kind, each.queue, each.status or "existing")
            for kind, each in zip(types, made, strict=True)
        )
        for (kind, queue, status), count in kinds.items():
            self._metrics.count_enqueue(kind, queue, status, count)
        for queue in {e.queue for e in made if e.created and e.status is Status.QUEUED}:
            self._hints.hint(queue)


def _without(
    refused: Mapping[blame.Kind, Exception],
    part: list[int],
    tasks: Sequence[NewTask],
    results: dict[int, Result],
) -> list[int]:
    """Return `part` without the tasks of refused kinds, which get their error."""
    if not refused:
        return part
    results.update(
        {place: refused[kind] for place in part if (kind := blame.kind_of(tasks[place])) in refused}
    )
    return [place for place in part if place not in results]


def _unsent(error: DatabaseUnavailable | DatabaseRefused) -> Exception:
    """Return `error` for tasks that the database never saw."""
    return DatabaseUnavailable(str(error)) if isinstance(error, OutcomeUnknown) else error


def _one_by_one(error: Exception, part: list[int], results: dict[int, Result]) -> list[list[int]]:
    """Return each task of `part` on its own; a task that already was gets `error`."""
    if len(part) > 1:
        return [[place] for place in reversed(part)]
    results[part[0]] = error
    return []
