"""Firing the slots of cron schedules: each exactly once, however many processes try.

One transaction takes the schedules whose slot has come (FOR UPDATE SKIP LOCKED: one process at a
time has a schedule, the others pass it by), decides by Postgres's time which slot fires, enqueues
the tasks, writes (schedule, slot) into `schedule_slots`, and moves the schedules on. All of it
commits or none of it happened: a process that dies in between leaves the slots to the next one, and
one that never hears of its commit finds them gone.

If anything goes wrong with a batch it is rolled back, and its schedules fire one by one, each in a
transaction of its own: the one at fault says so in `last_error` and goes on at its next slot.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from tidemill import cron, sql
from tidemill.db import Database, Record, Session
from tidemill.errors import DatabaseRefused, DatabaseUnavailable
from tidemill.models import NewTask
from tidemill.schedules import Schedule
from tidemill.settings import Settings
from tidemill.store.rules import MAX_PAYLOAD_BYTES
from tidemill.store.schedule_rows import schedule_of
from tidemill.store.tasks import enqueue_arguments

SKIP_SECONDS: Final = 60.0
"""With the policy `skip` a slot fires up to this late: processes look once a second or so."""

_MANY: Final = 10_000

_UNREADABLE: Final = timedelta(hours=1)
"""When a schedule whose cron or time zone this process cannot read is looked at again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EnqueueRules:
    """What the settings say of every enqueue of this process."""

    unknown_types: str = "accept"
    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    create_queues: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what `settings` say."""
        return cls(
            settings.unknown_types,
            settings.max_payload_bytes,
            settings.create_queues_on_enqueue == "on",
        )


@dataclass(slots=True)
class Fired:
    """What a call did: schedules moved on, tasks enqueued and their queues, and who failed."""

    schedules: int = 0
    tasks: int = 0
    queues: set[str] = field(default_factory=set[str])
    failed: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, other: "Fired") -> None:
        """Count what `other` did, too."""
        self.schedules += other.schedules
        self.tasks += other.tasks
        self.queues |= other.queues
        self.failed |= other.failed


@dataclass(frozen=True, slots=True)
class _Move:
    """A schedule of which a slot fires (or none), and where it goes."""

    schedule: Schedule
    slot: datetime | None
    next_slot: datetime | None


async def fire(db: Database, limit: int, rules: EnqueueRules) -> Fired:
    """Fire the slots that have come, of up to `limit` schedules.

    Raises DatabaseUnavailable, DatabaseRefused; what is wrong with one schedule is its own matter.
    """
    if not await _due(db, 1):  # nearly always: one statement, no transaction
        return Fired()
    try:
        return await _fire(db, limit, None, rules)
    except DatabaseRefused:
        raise
    except DatabaseUnavailable as error:
        _log_rolled_back(error)
        # Those that make others wait stay due and in front: look beyond them.
        names = await _due(db, _MANY)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other schedules must fire
        _log_rolled_back(error)
        names = await _due(db, limit)
    random.shuffle(names)
    return await _fire_each(db, names[:limit], rules)


async def _due(db: Database, limit: int) -> list[str]:
    return [row["name"] for row in await db.fetch(sql.load("schedules_due_names"), limit)]


def _log_rolled_back(error: Exception) -> None:
    log.debug("a batch of schedules was rolled back, one by one now: %s", error)


async def _fire_each(db: Database, names: list[str], rules: EnqueueRules) -> Fired:
    total = Fired()
    for name in names:
        try:
            total.add(await _fire(db, 1, [name], rules))
        except DatabaseUnavailable as error:
            await db.fetchval(sql.load("now"))  # raises when it is not this schedule alone
            total.failed[name] = str(error)  # a wait given up, say: it stays due
        except Exception as error:  # noqa: BLE001 - as above: it is recorded, and told
            total.failed[name] = str(error).removeprefix("tasks[0].") or type(error).__name__
            await _fail(db, name, total.failed[name])
    return total


async def _fire(db: Database, limit: int, names: list[str] | None, rules: EnqueueRules) -> Fired:
    async def act(session: Session) -> Fired:
        rows = await session.fetch(sql.load("schedules_due"), limit, names)
        if not rows:
            return Fired()
        moves = await _without_known(session, [_move(row) for row in rows])
        tasks = [each.schedule.definition.task(each.slot) for each in moves if each.slot]
        made = await _enqueue(session, tasks, rules)
        await _record(session, moves, [task_id for task_id, _ in made])
        return Fired(len(rows), len(made), {queue for _, queue in made})

    return await db.retrying(act)


def _move(row: Record) -> _Move:
    """Decide on a schedule that is due. Raises ValueError for times that cannot be read."""
    schedule, now = schedule_of(row), row["now"]
    said = schedule.definition
    skips = said.missed == "skip"
    due = cron.due(
        said.cron,
        said.time_zone,
        row["next_slot"],
        now,
        oldest=now - timedelta(seconds=SKIP_SECONDS) if skips else None,
        ends_at=said.ends_at,
    )
    return _Move(schedule, due.slot, due.next_slot)


async def _without_known(session: Session, moves: Sequence[_Move]) -> list[_Move]:
    """Take away slots that have fired: somebody moved a schedule back, or made it anew."""
    asked = [each for each in moves if each.slot]
    if not asked:
        return list(moves)
    rows = await session.fetch(
        sql.load("slots_known"),
        [each.schedule.name for each in asked],
        [each.slot for each in asked],
    )
    known = {(row["schedule"], row["slot"]) for row in rows}
    return [
        _Move(each.schedule, None, each.next_slot)
        if (each.schedule.name, each.slot) in known
        else each
        for each in moves
    ]


async def _enqueue(
    session: Session, tasks: Sequence[NewTask], rules: EnqueueRules
) -> list[tuple[UUID, str]]:
    """Enqueue in the transaction of `session`; return each task's id and queue."""
    if not tasks:
        return []
    args = enqueue_arguments(
        tasks, rules.unknown_types, rules.max_payload_bytes, rules.create_queues
    )
    rows = await session.fetch(sql.load("enqueue"), *args)
    return [(row["id"], row["queue"]) for row in rows]


async def _record(session: Session, moves: Sequence[_Move], made: Sequence[UUID]) -> None:
    ids = iter(made)
    columns: list[tuple[Any, ...]] = [
        (each.schedule.name, each.slot, next(ids) if each.slot else None, each.next_slot)
        for each in moves
    ]
    await session.execute(
        sql.load("schedules_fired"), *(list(column) for column in zip(*columns, strict=True))
    )


async def _fail(db: Database, name: str, error: str) -> None:
    """Write why the schedule did not fire, unless another process has made it fire meanwhile."""
    async with db.transaction() as session:
        rows = await session.fetch(sql.load("schedules_due"), 1, [name])
        for row in rows:
            try:
                following = _move(row).next_slot
            except ValueError:
                following = row["now"] + _UNREADABLE
            await session.execute(sql.load("schedule_failed"), name, error, following)
