"""Plans of the statements on schedules where there are very many: by index, few rows."""

# ruff: noqa: E501, S608 - SQL, of numbers of this file

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import plans
from tests.support.schedules import now
from tidemill.db import Database

SCHEDULES, SLOTS, DUE = 20_000, 200_000, 100

_FILL = (
    f"""INSERT INTO tidemill.schedules (name, cron, type, next_slot)
        SELECT 's' || n, '@hourly', 't', now() + CASE WHEN n % 200 = 0 THEN interval '-1 s' ELSE '1 h' END
          FROM generate_series(1, {SCHEDULES}) AS n""",
    f"""INSERT INTO tidemill.schedule_slots (schedule, slot, task_id, fired_at)
        SELECT 's' || n % {SCHEDULES}, date_trunc('hour', now()) - n / {SCHEDULES} * interval '1 h', gen_random_uuid(),
               now() - CASE WHEN n <= {DUE} THEN interval '8 d' ELSE '1 h' END
          FROM generate_series(1, {SLOTS}) AS n""",
    "ANALYZE tidemill.schedules, tidemill.schedule_slots",
)


@pytest.fixture
async def full(db: Database) -> AsyncIterator[Any]:
    """A connection to a database full of schedules."""
    async with db.session() as session:
        for statement in _FILL:
            await session.execute(statement)
        yield session.connection


def looked_at(plan: plans.Plan) -> dict[str, float]:
    """Return the rows looked at by table, none of which may be read as a whole."""
    found: dict[str, float] = {}
    for scan in plans.scans(plan):
        assert scan.kind != "Seq Scan", scan
        found[scan.table] = found.get(scan.table, 0) + scan.rows
    return found


@pytest.mark.parametrize("cached", [False, True])
async def test_schedules_are_found_by_index(full: Any, db: Database, *, cached: bool) -> None:
    hour = (await now(db)).replace(minute=0, second=0, microsecond=0)
    names = [f"s{n}" for n in range(1, 51)]
    calls: dict[str, tuple[tuple[Any, ...], dict[str, float]]] = {
        "schedules_due": ((DUE, None), {"schedules": DUE}),
        "schedules_due_names": ((DUE,), {"schedules": DUE}),
        "slots_known": ((names, [hour] * 50), {"schedule_slots": 50}),
        "schedule_lock": (("s7",), {"schedules": 1}),
        "schedule_slots": (("s7", 5), {"schedule_slots": 5}),
        "schedules_fired": (
            (names, [hour] * 50, [None] * 50, [hour] * 50),
            {"schedules": 50},
        ),
        "schedule_failed": (("s7", "why", hour), {"schedules": 1}),
        "slots_expire": ((1000,), {"schedule_slots": 2 * DUE}),
    }
    for name, (arguments, most) in calls.items():
        if cached:
            await plans.prepare(full, name, *arguments)
            plan = await plans.executed(full, name, *arguments)
        else:
            plan = await plans.explained(full, name, *arguments)
        seen = looked_at(plan)
        assert seen.keys() <= most.keys(), name
        for table, rows in seen.items():
            assert rows <= most[table] * 1.1, (name, seen)
