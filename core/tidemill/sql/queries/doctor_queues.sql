-- Purpose: each queue: paused or not, whether anything waits and for how long (seconds), and whether a
--   worker that was seen lately serves it.
-- Parameters: $1 seconds after which a worker counts as gone; $2 tasks at the head of each queue that are
--   looked at.
-- Locks: none.
-- Plan: the head of each queue by index ready_order; workers are few.
SELECT q.name, q.paused, q.owner_paused, q.owner_name,
       head.ready_at IS NOT NULL AS waiting,
       greatest(0, extract(epoch FROM statement_timestamp() - head.ready_at))::double precision AS oldest_seconds,
       EXISTS (SELECT FROM tidemill.workers w
                WHERE w.left_at IS NULL AND NOT w.draining AND NOT w.cordoned
                  AND w.seen_at > statement_timestamp() - make_interval(secs => $1::double precision)
                  AND w.queues && ARRAY['*', q.name]) AS served
  FROM tidemill.queues q
  LEFT JOIN LATERAL (
      SELECT min(first.ready_at) AS ready_at FROM (
          SELECT r.ready_at FROM tidemill.ready r WHERE r.queue_id = q.id
           ORDER BY r.priority DESC, r.lane, r.seq LIMIT $2::integer) AS first
  ) AS head ON true
 ORDER BY q.name
