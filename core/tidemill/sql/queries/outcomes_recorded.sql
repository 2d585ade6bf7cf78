-- Purpose: how attempts ended whose end is reported a second time: the first report's answer may have
--   been lost on its way.
-- Parameters: $1 task ids, $2 their tokens, $3 a time before any of them can have ended.
-- Returns the outcome that the holder of the lease reported; none where the lease had expired.
-- Locks: none.
-- Plan: index attempts_task, nested loop.
SELECT asked.task_id, asked.lease_token, a.outcome
  FROM unnest($1::uuid[], $2::bigint[]) AS asked (task_id, lease_token)
 CROSS JOIN LATERAL (
    SELECT x.outcome FROM tidemill.attempts x
     WHERE x.task_id = asked.task_id AND x.token = asked.lease_token AND x.finished_at >= $3::timestamptz
       AND x.error ->> 'type' IS DISTINCT FROM 'LeaseExpired' -- written by recovery
     LIMIT 1
 ) AS a
