"""Short ways to make schedules, to let time pass for them, and to look at what fired."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from tests.support import ledger
from tidemill.db import Database
from tidemill.schedules import SCHEDULE_HEADER, SLOT_HEADER, NewSchedule, Schedule
from tidemill.store import Store

HOUR = 3600.0


def hourly() -> str:
    """Return an hourly expression whose next slot is half an hour away: no test meets it."""
    return f"{(datetime.now(UTC).minute + 30) % 60} * * * *"


async def put(store: Store, name: str = "s", cron: str | None = None, **said: Any) -> Schedule:
    """Create or replace a schedule of tasks of type `t`: hourly, or as it was."""
    if cron is None:
        known = await store.schedules.get(name)
        cron = known.definition.cron if known else hourly()
    new = NewSchedule(name=name, cron=cron, **({"type": "t"} | said))
    schedule, _ = await store.schedules.put(new)
    return schedule


async def got(store: Store, name: str = "s") -> Schedule:
    """Return a schedule that must be there."""
    schedule = await store.schedules.get(name)
    assert schedule is not None
    return schedule


async def pass_time(db: Database, seconds: float = HOUR) -> None:
    """Let time pass for all schedules: whole hours keep hourly slots on the hour."""
    async with db.transaction() as session:
        await session.execute("LOCK TABLE tidemill.schedules IN EXCLUSIVE MODE")  # nobody fires
        # slots by a long way and back: in one step one would meet the next on its way
        await session.execute(
            "UPDATE tidemill.schedule_slots SET slot = slot - interval '1000 years'"
        )
        await session.execute(
            """WITH moved AS (
                   UPDATE tidemill.schedules SET next_slot = next_slot - make_interval(secs => $1),
                          last_slot = last_slot - make_interval(secs => $1))
               UPDATE tidemill.schedule_slots
                  SET slot = slot + interval '1000 years' - make_interval(secs => $1)""",
            seconds,
        )


async def now(db: Database) -> datetime:
    """Return the time as Postgres has it."""
    moment: datetime = await db.fetchval("SELECT clock_timestamp()")
    return moment


async def fired(db: Database) -> Counter[str]:
    """Return how often each schedule fired; each slot must be one task, and each task a slot's."""
    rows = await db.fetch(
        """SELECT k.schedule, k.task_id, t.headers ->> $1 AS of, t.headers ->> $2 AS slot
             FROM tidemill.schedule_slots k FULL JOIN tidemill.tasks t ON t.id = k.task_id
            WHERE k.schedule IS NOT NULL OR t.headers ->> $2 IS NOT NULL""",
        SCHEDULE_HEADER,
        SLOT_HEADER,
    )
    strays = [row for row in rows if row["schedule"] != row["of"] or not row["slot"]]
    assert not strays, strays[:5]
    assert len({row["task_id"] for row in rows}) == len(rows)
    return Counter(row["schedule"] for row in rows)


async def settled(store: Store) -> Counter[str]:
    """Check the queue's books, too."""
    await ledger.balance(store)
    return await fired(store.db)
