"""The registered task types with their compiled payload checks.

Read from the database at most about once a second while tasks come in, and at once for a type
that is not known where that would refuse the task.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from tidemill.errors import Fault, UnknownType
from tidemill.models import NewTask, TaskType
from tidemill_api.checking import raise_all
from tidemill_api.payloads import PayloadCheck
from tidemill_api.single import Shared
from tidemill_api.strictjson import MAX_FAULTS

FRESH_SECONDS: Final = 1.0
DEFAULT_QUEUE: Final = "default"
"""Where tasks go that name no queue, and whose type names none."""

Checks = Mapping[str, PayloadCheck]


class TypeRegistry:
    """What tasks are checked against."""

    def __init__(
        self, load: Callable[[], Awaitable[Sequence[TaskType]]], *, reject_unknown: bool
    ) -> None:
        """Read types with `load`; `reject_unknown` refuses tasks of unregistered types."""
        self._load = load
        self._reject_unknown = reject_unknown
        self._compiled: dict[str, PayloadCheck] = {}
        self._queues: dict[str, str] = {}
        self._checks: Shared[Checks] = Shared(self._read)

    async def checks(self, tasks: Sequence[NewTask], *, batch: bool = False) -> Checks:
        """Return the checks that `tasks` need. Raises UnknownType, DatabaseUnavailable."""
        found = await self._checks.get(FRESH_SECONDS)
        if self._reject_unknown and _unknown(tasks, found):
            found = await self._checks.get(0)
            if strangers := _unknown(tasks, found, batch=batch):
                raise UnknownType(*strangers[:MAX_FAULTS])
        return found

    def checks_now(self, task: NewTask) -> Checks | None:
        """Return what `checks` would return without waiting; None where it would wait or raise."""
        found = self._checks.fresh(FRESH_SECONDS)
        if found is None or (self._reject_unknown and task.type not in found):
            return None
        return found

    async def refresh(self) -> None:
        """See every type that was committed before this call. Raises DatabaseUnavailable."""
        await self._checks.get(0)

    async def queues_of(self, tasks: Sequence[NewTask]) -> list[str]:
        """Return the queue that each of `tasks` goes to: its own, its type's, or the default."""
        await self._checks.get(FRESH_SECONDS)
        return [each.queue or self._queues.get(each.type, DEFAULT_QUEUE) for each in tasks]

    def known(self, name: str) -> bool:
        """Return whether the type was registered when last read."""
        return name in self._compiled

    async def _read(self) -> Checks:
        compiled: dict[str, PayloadCheck] = {}
        types = await self._load()
        for each in types:
            known = self._compiled.get(each.name)
            same = known is not None and known.schema == each.schema
            compiled[each.name] = known if known and same else PayloadCheck(each.name, each.schema)
        self._compiled = compiled
        self._queues = {each.name: each.queue for each in types if each.queue}
        return compiled


def check_payload(task: NewTask, checks: Checks) -> None:
    """Raise InvalidTask unless the payload satisfies its type's schema."""
    check = checks.get(task.type)
    if check is not None:
        raise_all(check.faults(task.payload))


def payload_faults(task: NewTask, checks: Checks, place: int) -> list[Fault]:
    """Return what is wrong with the payload of the batch's task number `place`."""
    check = checks.get(task.type)
    return [] if check is None else check.faults(task.payload, f"tasks[{place}].payload")


def _unknown(tasks: Sequence[NewTask], known: Checks, *, batch: bool = False) -> list[Fault]:
    return [
        Fault(
            f"tasks[{place}].type" if batch else "type",
            "must be a registered task type",
            task.type,
        )
        for place, task in enumerate(tasks)
        if task.type not in known
    ]
