-- Purpose: write a queue's limits; without any, its row goes, so that claims stay on the fast path.
-- Parameters: $1 queue id; $2 tasks per $3 seconds, or null; $4 most running tasks, or null.
-- Locks: the limits' row.
WITH gone AS (
    DELETE FROM tidemill.queue_limits
     WHERE queue_id = $1::integer AND $2::double precision IS NULL AND $4::integer IS NULL
)
INSERT INTO tidemill.queue_limits AS l (queue_id, rate_tasks, rate_seconds, max_running, tokens)
SELECT $1::integer, $2::double precision, $3::double precision, $4::integer, coalesce($2::double precision, 0)
 WHERE $2::double precision IS NOT NULL OR $4::integer IS NOT NULL
ON CONFLICT (queue_id) DO UPDATE SET
    rate_tasks = EXCLUDED.rate_tasks, rate_seconds = EXCLUDED.rate_seconds, max_running = EXCLUDED.max_running
