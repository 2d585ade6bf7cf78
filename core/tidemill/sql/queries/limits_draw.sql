-- Purpose: draw the tokens of the tasks that a claim took.
-- Parameters: $1 queue, $2 tasks.
-- Locks: the limits' row (held already).
UPDATE tidemill.queue_limits
   SET tokens = least(greatest(1, rate_tasks),
                      tokens + greatest(0, date_part('epoch', statement_timestamp() - refilled_at))
                               * rate_tasks / rate_seconds) - $2::integer,
       refilled_at = greatest(refilled_at, statement_timestamp())
 WHERE queue_id = $1::integer AND rate_tasks IS NOT NULL
