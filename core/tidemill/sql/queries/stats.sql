-- Purpose: exact figures of each queue: folded buckets plus what is not folded yet, in one snapshot.
-- Parameters: $1 length in seconds of the window for rates; $2 names of the queues that may be seen, or
--   null for all.
-- Locks: none.
-- Plan: the "all" rows and recent 10 s rows of throughput by primary key, the unfolded deltas, and the
--   head of each queue; never the tasks.
WITH parts AS (
    SELECT queue_id, enqueued, succeeded, dead, cancelled, retries, first_retries,
           d_queued, d_scheduled, d_running, d_succeeded, d_failed, d_cancelled
      FROM tidemill.throughput WHERE resolution = 'all'
    UNION ALL
    SELECT queue_id, enqueued, succeeded, dead, cancelled, retries, first_retries,
           d_queued, d_scheduled, d_running, d_succeeded, d_failed, d_cancelled
      FROM tidemill.throughput_deltas
), totals AS (
    SELECT queue_id, sum(enqueued) AS enqueued, sum(retries) AS retries, sum(first_retries) AS first_retries,
           sum(d_queued) AS queued, sum(d_scheduled) AS scheduled, sum(d_running) AS running,
           sum(d_succeeded) AS succeeded, sum(d_failed) AS failed, sum(d_cancelled) AS cancelled
      FROM parts GROUP BY queue_id
), recent AS (
    SELECT queue_id, sum(enqueued) AS enqueued, sum(finished) AS finished FROM (
        SELECT queue_id, enqueued, succeeded + dead + cancelled AS finished FROM tidemill.throughput
         WHERE resolution = '10s' AND bucket > statement_timestamp() - make_interval(secs => $1::double precision)
        UNION ALL
        SELECT queue_id, enqueued, succeeded + dead + cancelled FROM tidemill.throughput_deltas
         WHERE at > statement_timestamp() - make_interval(secs => $1::double precision)
    ) AS r GROUP BY queue_id
)
SELECT q.name, q.paused OR q.owner_paused AS paused,
       coalesce(t.enqueued, 0)::bigint AS enqueued, coalesce(t.retries, 0)::bigint AS retries,
       coalesce(t.first_retries, 0)::bigint AS first_retries,
       coalesce(t.queued, 0)::bigint AS queued, coalesce(t.scheduled, 0)::bigint AS scheduled,
       coalesce(t.running, 0)::bigint AS running, coalesce(t.succeeded, 0)::bigint AS succeeded,
       coalesce(t.failed, 0)::bigint AS failed, coalesce(t.cancelled, 0)::bigint AS cancelled,
       coalesce(r.enqueued, 0)::double precision / $1::double precision AS enqueued_per_second,
       coalesce(r.finished, 0)::double precision / $1::double precision AS finished_per_second,
       coalesce(extract(epoch FROM statement_timestamp() - head.ready_at), 0)::double precision AS oldest_seconds
  FROM tidemill.queues q
  LEFT JOIN totals t ON t.queue_id = q.id
  LEFT JOIN recent r ON r.queue_id = q.id
  LEFT JOIN LATERAL (
      SELECT min(first.ready_at) AS ready_at FROM (
          SELECT x.ready_at FROM tidemill.ready x WHERE x.queue_id = q.id
           ORDER BY x.priority DESC, x.lane, x.seq LIMIT 1000) AS first
  ) AS head ON true
 WHERE $2::text[] IS NULL OR q.name = ANY ($2)
 ORDER BY q.name
