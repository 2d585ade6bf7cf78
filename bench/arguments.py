"""The claim's arguments as Tidemill gives them, with pgbench's variables in their places. Pure."""

from typing import TYPE_CHECKING, Any, cast

from tidemill.db import Database, Record
from tidemill.models import WorkerIdentity
from tidemill.store.leases import ClaimPlan, LeaseStore, Range

if TYPE_CHECKING:
    from collections.abc import Iterable

LEASE_SECONDS = 30.0

# Numbers that stand for variables, so large that nothing else is like them.
_WORKER, _BATCH, _QUEUE, _FLOOR = range(2_000_000_001, 2_000_000_005)
_NAMES = {_WORKER: ":worker", _BATCH: ":batch", _QUEUE: ":queue_id", _FLOOR: ":floor"}


class _Ear:
    """Stands where a database does: hears a statement's arguments, answers nothing."""

    def __init__(self) -> None:
        self.heard: tuple[Any, ...] = ()

    async def fetch(self, _statement: str, *args: Any) -> list[Record]:
        self.heard = args
        return []


def claim() -> dict[int, str]:
    """Return the claim's arguments by number, for one queue whose newest claim is known.

    They name the variables worker, batch, queue_id and floor.
    """
    ear = _Ear()
    plan = ClaimPlan(ranges=(Range(_QUEUE, 0, 0, 0), Range(_QUEUE, 0, 1, _FLOOR)))
    claiming = LeaseStore(cast("Database", ear)).claim(
        WorkerIdentity(_WORKER, 1), plan, _BATCH, LEASE_SECONDS
    )
    try:
        claiming.send(None)  # nothing in it waits
    except StopIteration:
        return {number: text(value) for number, value in enumerate(ear.heard, 1)}
    raise AssertionError("the claim waits for something else than its statement")


def text(value: Any) -> str:
    """Return an argument as SQL, its type left to the statement's cast."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _NAMES.get(int(value), f"{value:g}")
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(text, cast('Iterable[Any]', value)))}]"
    raise TypeError(f"an argument of another kind: {value!r}")
