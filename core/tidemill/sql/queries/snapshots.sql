-- Purpose: what the scaling decisions need of every queue, in one snapshot.
-- Parameters: $1 cap up to which waiting tasks are counted; $2 horizon in seconds for tasks due soon,
--   but for the queues named in $3 the one at the same place in $4.
-- Locks: none.
-- Plan: for each queue up to $1 entries of index ready_order; scheduled up to the horizon; leases;
--   the 10 s buckets of the last 5 minutes. What arrives is what becomes claimable, so a task counts
--   when it falls due, not when it was enqueued: each claim takes one off d_queued, and that is added.
--   Arrivals are those since the start of the bucket that a minute ago fell into, divided by the time
--   since then: whole buckets only, so the rate is exact whenever it is asked for.
WITH minute AS (
    SELECT date_bin('10 seconds', statement_timestamp() - interval '60 seconds', 'epoch') AS since
), asked AS (
    SELECT q.id, coalesce(own.seconds, $2::double precision) AS due_seconds
      FROM tidemill.queues q
      LEFT JOIN unnest($3::text[], $4::double precision[]) AS own (name, seconds) ON own.name = q.name
), running AS (
    SELECT queue_id, count(*) AS n FROM tidemill.leases GROUP BY queue_id
), soon AS (
    SELECT s.queue_id, count(*) AS n FROM (
        SELECT queue_id, run_at FROM tidemill.scheduled
         WHERE run_at <= statement_timestamp() + make_interval(secs => (SELECT max(due_seconds) FROM asked))
         ORDER BY run_at LIMIT $1::integer) AS s
      JOIN asked a ON a.id = s.queue_id
     WHERE s.run_at <= statement_timestamp() + make_interval(secs => a.due_seconds)
     GROUP BY s.queue_id
), recent AS (
    SELECT queue_id,
           sum(arrived) FILTER (WHERE at >= (SELECT since FROM minute)) AS arrived,
           sum(ended) AS ended, sum(run_seconds) AS run_seconds
      FROM (
        SELECT queue_id, bucket AS at, started + d_queued AS arrived, succeeded + failed_attempts - recovered AS ended, run_seconds
          FROM tidemill.throughput
         WHERE resolution = '10s' AND bucket > statement_timestamp() - interval '5 minutes'
        UNION ALL
        SELECT queue_id, at, started + d_queued, succeeded + failed_attempts - recovered, run_seconds
          FROM tidemill.throughput_deltas
         WHERE at > statement_timestamp() - interval '5 minutes'
      ) AS r GROUP BY queue_id
)
SELECT q.name AS queue, q.paused OR q.owner_paused AS paused,
       head.n AS queued, coalesce(soon.n, 0) AS due_soon, coalesce(running.n, 0) AS running,
       greatest(0, coalesce(extract(epoch FROM statement_timestamp() - head.ready_at), 0))::double precision AS oldest_seconds,
       greatest(0, coalesce(recent.arrived, 0))::double precision
           / extract(epoch FROM statement_timestamp() - (SELECT since FROM minute))::double precision AS arrival_per_second,
       CASE WHEN recent.ended > 0 THEN recent.run_seconds / recent.ended END::double precision AS mean_run_seconds,
       l.max_running
  FROM tidemill.queues q
  LEFT JOIN running ON running.queue_id = q.id
  LEFT JOIN soon ON soon.queue_id = q.id
  LEFT JOIN recent ON recent.queue_id = q.id
  LEFT JOIN tidemill.queue_limits l ON l.queue_id = q.id
 CROSS JOIN LATERAL (
      SELECT count(*) AS n, min(first.ready_at) AS ready_at FROM (
          SELECT x.ready_at FROM tidemill.ready x WHERE x.queue_id = q.id
           ORDER BY x.priority DESC, x.lane, x.seq LIMIT $1::integer) AS first
  ) AS head
 ORDER BY q.name
