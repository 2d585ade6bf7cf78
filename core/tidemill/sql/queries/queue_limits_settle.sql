-- Purpose: a queue without any limit has no row of limits, and every queue says whether it has one:
--   claims on the others stay on the fast path.
-- Parameters: $1 queue id.
-- Locks: the limits' row, then the queue's.
WITH gone AS (
    DELETE FROM tidemill.queue_limits
     WHERE queue_id = $1::integer AND rate_tasks IS NULL AND max_running IS NULL
    RETURNING queue_id
)
UPDATE tidemill.queues q
   SET limited = EXISTS (SELECT FROM tidemill.queue_limits l WHERE l.queue_id = q.id)
             AND NOT EXISTS (SELECT FROM gone)
 WHERE q.id = $1::integer
