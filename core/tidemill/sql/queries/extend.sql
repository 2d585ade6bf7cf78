-- Purpose: heartbeat: keep leases that are still held; those claimed while their queue got its limits
--   begin to count against them.
-- Parameters: $1 task ids, sorted; $2 their tokens; $3 lease in seconds where the queue sets none.
-- Locks: the leases, in the order given.
-- Plan: nested loop over the primary key of leases.
WITH held AS MATERIALIZED (
    SELECT l.task_id, l.lease_token, l.queue_id, l.cancel_requested_at
      FROM unnest($1::uuid[], $2::bigint[]) AS asked (task_id, lease_token)
     CROSS JOIN LATERAL (
        SELECT x.task_id, x.lease_token, x.queue_id, x.cancel_requested_at
          FROM tidemill.leases x
         WHERE x.task_id = asked.task_id AND x.lease_token = asked.lease_token
           FOR UPDATE
     ) AS l
), extended AS (
    UPDATE tidemill.leases l
       SET locked_until = statement_timestamp() + make_interval(secs => coalesce(q.lease_seconds, $3::double precision)),
           limited_queue = CASE WHEN q.limited THEN q.id END
      FROM held h JOIN tidemill.queues q ON q.id = h.queue_id
     WHERE l.task_id = h.task_id
)
SELECT task_id, lease_token, cancel_requested_at IS NOT NULL AS cancel_requested FROM held
