-- Purpose: what the limits of queues allow now. A bucket holds at most rate_tasks tokens (one at
--   least) and gains rate_tasks every rate_seconds.
-- Parameters: $1 queues with limits.
-- Returns, for each where something waits and that is not paused: how many tasks may start, and in
--   how many seconds the rate lets the next one start where it lets none now (else 0). A queue that
--   has lost its limits allows any number.
-- Locks: none; under the lock of limits_lock it is exact.
-- Plan: primary keys, the head of ready_order, a range of leases_limited up to max_running.
SELECT q.id AS queue_id,
       greatest(0, least(coalesce(l.max_running - running.tasks, 2147483647),
                         coalesce(floor(bucket.tokens), 2147483647)))::integer AS tasks,
       CASE WHEN bucket.tokens < 1 THEN (1 - bucket.tokens) * l.rate_seconds / l.rate_tasks ELSE 0 END AS wait_seconds
  FROM unnest($1::integer[]) AS asked (queue_id)
  JOIN tidemill.queues q ON q.id = asked.queue_id AND NOT (q.paused OR q.owner_paused)
  LEFT JOIN tidemill.queue_limits l ON l.queue_id = q.id
 CROSS JOIN LATERAL (
    SELECT CASE WHEN l.rate_tasks IS NOT NULL THEN
           least(greatest(1, l.rate_tasks),
                 l.tokens + greatest(0, date_part('epoch', statement_timestamp() - l.refilled_at))
                            * l.rate_tasks / l.rate_seconds) END AS tokens
 ) AS bucket
 CROSS JOIN LATERAL (
    SELECT count(*) AS tasks FROM (
        SELECT FROM tidemill.leases x WHERE x.limited_queue = q.id AND l.max_running IS NOT NULL LIMIT l.max_running) AS counted
 ) AS running
 WHERE EXISTS (SELECT FROM tidemill.ready r WHERE r.queue_id = q.id)
