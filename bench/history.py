"""Databases with a past: tasks that have completed and are kept."""

from bench.target import Target

STEP = 100_000

_COMPLETE = """
WITH done AS (DELETE FROM tidemill.ready RETURNING task_id, queue_id)
INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, started_at,
                               finished_at, outcome, retry_count)
SELECT task_id, nextval('tidemill.lease_tokens'), queue_id, 0, 1, statement_timestamp(),
       statement_timestamp(), 'succeeded', 0
  FROM done
"""


async def complete(target: Target, tasks: int) -> None:
    """Empty the target, and let it look as if it had completed `tasks` and vacuumed since."""
    await target.empty()
    for done in range(0, tasks, STEP):
        await target.add(min(STEP, tasks - done))
        await target.ask(_COMPLETE)
    target.keeps_history = True
    await target.empty()
    await target.ask("VACUUM (ANALYZE) tidemill.tasks, tidemill.attempts")
