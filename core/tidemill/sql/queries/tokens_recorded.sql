-- Purpose: after an unknown commit result: which of these leases have a recorded end?
-- Parameters: $1 task ids, $2 their tokens, $3 a time before any of them can have ended.
-- Locks: none.
-- Plan: index attempts_task, nested loop.
SELECT asked.task_id, asked.lease_token
  FROM unnest($1::uuid[], $2::bigint[]) AS asked (task_id, lease_token)
 WHERE EXISTS (SELECT FROM tidemill.attempts a
                WHERE a.task_id = asked.task_id AND a.token = asked.lease_token
                  AND a.finished_at >= $3::timestamptz)
