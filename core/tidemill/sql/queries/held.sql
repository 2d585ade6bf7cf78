-- Purpose: what decides how attempts end of which the worker knows no more than the lease: a worker
--   that speaks HTTP.
-- Parameters: $1 task ids, $2 their tokens.
-- Returns a row for each lease that is still held; its holder alone can change that before the end.
--   `seconds` since the claim; a body that is gone has no retries left.
-- Locks: none.
-- Plan: nested loops over the primary keys of leases, queues and, one partition each, bodies.
SELECT l.task_id, l.lease_token, q.name AS queue, q.limited, l.retry_count,
       coalesce(body.max_retries, 0) AS max_retries, body.retry,
       date_part('epoch', statement_timestamp() - l.claimed_at) AS seconds
  FROM unnest($1::uuid[], $2::bigint[]) AS asked (task_id, lease_token)
 CROSS JOIN LATERAL (
    SELECT x.* FROM tidemill.leases x
     WHERE x.task_id = asked.task_id AND x.lease_token = asked.lease_token
 ) AS l
  JOIN tidemill.queues q ON q.id = l.queue_id
  LEFT JOIN LATERAL (
    SELECT t.max_retries, t.retry FROM tidemill.tasks t WHERE t.id = l.task_id LIMIT 1
  ) AS body ON true
