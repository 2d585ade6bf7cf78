-- Purpose: how many tasks a queue holds, by status: exact, and never counts them.
-- Parameters: $1 queue.
-- Locks: none; under queue_delete_lock nothing is added to them.
-- Plan: one row of throughput by primary key, and the deltas that are not folded yet.
SELECT coalesce(sum(p.d_queued), 0)::bigint AS queued, coalesce(sum(p.d_scheduled), 0)::bigint AS scheduled,
       coalesce(sum(p.d_running), 0)::bigint AS running, coalesce(sum(p.d_succeeded), 0)::bigint AS succeeded,
       coalesce(sum(p.d_failed), 0)::bigint AS failed, coalesce(sum(p.d_cancelled), 0)::bigint AS cancelled
  FROM (SELECT t.d_queued, t.d_scheduled, t.d_running, t.d_succeeded, t.d_failed, t.d_cancelled
          FROM tidemill.throughput t
         WHERE t.resolution = 'all' AND t.bucket = 'epoch' AND t.queue_id = $1::integer
        UNION ALL
        SELECT d.d_queued, d.d_scheduled, d.d_running, d.d_succeeded, d.d_failed, d.d_cancelled
          FROM tidemill.throughput_deltas d WHERE d.queue_id = $1::integer) AS p
