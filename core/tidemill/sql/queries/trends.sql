-- Purpose: what happened in each stretch of time, folded or not, in one snapshot; stretches in which
--   nothing did are left out.
-- Parameters: $1 resolution of the buckets to read; $2 length of a stretch in seconds; $3 from, $4 until
--   (excluded); $5 names of the queues, or null for all.
-- Locks: none.
-- Plan: one range of the primary key of throughput, and the unfolded deltas; never the tasks.
WITH parts AS (
    SELECT t.bucket AS at, t.queue_id, t.enqueued, t.started, t.succeeded, t.dead, t.cancelled, t.failed_attempts,
           t.retries, t.recovered, t.replayed, t.run_seconds, t.waits
      FROM tidemill.throughput t
     WHERE t.resolution = $1::text AND t.bucket >= $3::timestamptz AND t.bucket < $4::timestamptz
    UNION ALL
    SELECT d.at, d.queue_id, d.enqueued, d.started, d.succeeded, d.dead, d.cancelled, d.failed_attempts,
           d.retries, d.recovered, d.replayed, d.run_seconds, d.waits::bigint[]
      FROM tidemill.throughput_deltas d
     WHERE d.at >= $3 AND d.at < $4
)
SELECT date_bin(make_interval(secs => $2::double precision), p.at, 'epoch') AS at,
       sum(p.enqueued)::bigint AS enqueued, sum(p.started)::bigint AS started,
       sum(p.succeeded)::bigint AS succeeded, sum(p.dead)::bigint AS failed,
       sum(p.cancelled)::bigint AS cancelled, sum(p.failed_attempts)::bigint AS failed_attempts,
       sum(p.retries)::bigint AS retries, sum(p.recovered)::bigint AS leases_expired,
       sum(p.replayed)::bigint AS replayed, sum(p.run_seconds) AS run_seconds,
       tidemill.sum_arrays(p.waits) AS waits
  FROM parts p
 WHERE $5::text[] IS NULL OR p.queue_id = ANY (ARRAY(SELECT q.id FROM tidemill.queues q WHERE q.name = ANY ($5)))
 GROUP BY 1
