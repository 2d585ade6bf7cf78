-- Purpose: write those of a queue's limits that are its owner's to say.
-- Parameters: $1 queue id; $2 whether to write the rate: $3 tasks per $4 seconds, null = none;
--   $5 whether to write $6, the most running tasks, null = none.
--   A new rate begins with a full bucket, as a new row does.
-- Locks: the limits' row.
INSERT INTO tidemill.queue_limits AS l (queue_id, rate_tasks, rate_seconds, max_running, tokens)
VALUES ($1::integer, $3::double precision, $4::double precision, $6::integer, coalesce($3::double precision, 0))
ON CONFLICT (queue_id) DO UPDATE SET
    rate_tasks = CASE WHEN $2::boolean THEN EXCLUDED.rate_tasks ELSE l.rate_tasks END,
    rate_seconds = CASE WHEN $2::boolean THEN EXCLUDED.rate_seconds ELSE l.rate_seconds END,
    tokens = CASE WHEN $2::boolean AND l.rate_tasks IS NULL THEN EXCLUDED.tokens ELSE l.tokens END,
    refilled_at = CASE WHEN $2::boolean AND l.rate_tasks IS NULL THEN EXCLUDED.refilled_at ELSE l.refilled_at END,
    max_running = CASE WHEN $5::boolean THEN EXCLUDED.max_running ELSE l.max_running END
