-- Purpose: a queue without any limit has no row of limits, so that its claims stay on the fast path.
-- Parameters: $1 queue id.
-- Locks: the limits' row.
DELETE FROM tidemill.queue_limits
 WHERE queue_id = $1::integer AND rate_tasks IS NULL AND max_running IS NULL
