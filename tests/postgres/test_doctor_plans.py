"""The doctor on full tables: what it reads grows with queues and workers, not with tasks."""

import pytest

from tests.support import plans
from tidemill.db import Database
from tidemill.doctor import examine, queue
from tidemill.settings import Settings

TASKS, QUEUES, HEAD, SAMPLE = 50_000, 50, 20, 1000
_FILL = f"""
INSERT INTO tidemill.queues (name) SELECT 'q' || n FROM generate_series(1, {QUEUES}) AS n;
CREATE TEMP TABLE made AS SELECT n, 1 + n % {QUEUES} AS queue_id,
    tidemill.uuid_at((extract(epoch FROM now()) * 1000000)::bigint + n, tidemill.uuid_salt()) AS id
  FROM generate_series(1, {TASKS}) AS n;
INSERT INTO tidemill.tasks (id, queue_id, type, priority, max_retries, timeout_seconds, created_at,
                            payload)
SELECT id, queue_id, 't', 0, 3, 300, now(), '{{}}' FROM made;
INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at)
SELECT id, queue_id, 0, 1, now() - interval '5 min' FROM made;
INSERT INTO tidemill.throughput_deltas (queue_id, at)
SELECT 1, now() - interval '5 min' FROM made;
DROP TABLE made;
"""  # noqa: S608 - of this file's own numbers


@pytest.fixture
async def full(db: Database) -> Database:
    async with db.session() as session:
        await session.connection.execute(_FILL, timeout=100)
        await session.connection.execute("VACUUM ANALYZE", timeout=100)
    return db


@pytest.mark.parametrize(
    ("statement", "arguments", "most"),
    [
        ("doctor_queues", (60.0, HEAD), QUEUES * (HEAD + 10)),
        ("doctor_bodies", (SAMPLE,), SAMPLE * 5),
        ("doctor_statistics", (SAMPLE,), SAMPLE),
        ("doctor_types", (SAMPLE, HEAD, 60.0), QUEUES * (HEAD + 10) + QUEUES * HEAD * 40),
    ],
)
async def test_few_pages_are_touched(
    full: Database, statement: str, arguments: tuple[object, ...], most: int
) -> None:
    async with full.session() as session:
        plan = await plans.explained(session.connection, statement, *arguments)
    assert plans.touched(plan) <= most


@pytest.mark.usefixtures("full")
async def test_every_check_can_be_made(settings: Settings) -> None:
    report = await examine(settings)
    assert not [each for each in report.findings if "could not be looked at" in each.finding]
    told = {each.check: each.figures for each in report.findings}
    assert len(told["queues"]["unserved"]) == QUEUES
    assert told["statistics"]["deltas"] == min(TASKS, queue.MANY_DELTAS)
