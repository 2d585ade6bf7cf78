-- Purpose: fold appended statistics into buckets.
-- Parameters: $1 most delta rows.
-- Returns how many were folded.
-- Locks: the delta rows, skipping locked ones; bucket rows in key order. Only maintenance takes the
--   latter, one process at a time (the advisory lock is tried by the caller).
-- Plan: the first rows of throughput_deltas by primary key.
WITH folded AS MATERIALIZED (
    DELETE FROM tidemill.throughput_deltas
     WHERE id = ANY (ARRAY(SELECT id FROM tidemill.throughput_deltas ORDER BY id LIMIT $1::integer FOR UPDATE SKIP LOCKED))
    RETURNING *
), summed AS MATERIALIZED (
    SELECT r.resolution, r.bucket, f.queue_id,
           sum(f.enqueued) AS enqueued, sum(f.started) AS started, sum(f.succeeded) AS succeeded,
           sum(f.failed_attempts) AS failed_attempts, sum(f.retries) AS retries,
           sum(f.first_retries) AS first_retries, sum(f.dead) AS dead, sum(f.cancelled) AS cancelled,
           sum(f.deleted) AS deleted, sum(f.recovered) AS recovered, sum(f.snoozed) AS snoozed,
           sum(f.released) AS released, sum(f.replayed) AS replayed, sum(f.run_seconds) AS run_seconds,
           tidemill.sum_arrays(f.waits::bigint[]) AS waits,
           sum(f.d_queued) AS d_queued, sum(f.d_scheduled) AS d_scheduled, sum(f.d_running) AS d_running,
           sum(f.d_succeeded) AS d_succeeded, sum(f.d_failed) AS d_failed, sum(f.d_cancelled) AS d_cancelled
      FROM folded f
     CROSS JOIN LATERAL (VALUES
           ('10s', date_bin('10 seconds', f.at, 'epoch')),
           ('hour', date_trunc('hour', f.at, 'UTC')),
           ('day', date_trunc('day', f.at, 'UTC')),
           ('all', 'epoch'::timestamptz)) AS r (resolution, bucket)
     GROUP BY r.resolution, r.bucket, f.queue_id
), written AS (
    INSERT INTO tidemill.throughput AS t (resolution, bucket, queue_id, enqueued, started, succeeded,
        failed_attempts, retries, first_retries, dead, cancelled, deleted, recovered, snoozed, released,
        replayed, run_seconds, waits, d_queued, d_scheduled, d_running, d_succeeded, d_failed, d_cancelled)
    SELECT * FROM summed ORDER BY resolution, bucket, queue_id
    ON CONFLICT (resolution, bucket, queue_id) DO UPDATE SET
        enqueued = t.enqueued + EXCLUDED.enqueued, started = t.started + EXCLUDED.started,
        succeeded = t.succeeded + EXCLUDED.succeeded,
        failed_attempts = t.failed_attempts + EXCLUDED.failed_attempts,
        retries = t.retries + EXCLUDED.retries, first_retries = t.first_retries + EXCLUDED.first_retries,
        dead = t.dead + EXCLUDED.dead, cancelled = t.cancelled + EXCLUDED.cancelled,
        deleted = t.deleted + EXCLUDED.deleted, recovered = t.recovered + EXCLUDED.recovered,
        snoozed = t.snoozed + EXCLUDED.snoozed, released = t.released + EXCLUDED.released,
        replayed = t.replayed + EXCLUDED.replayed, run_seconds = t.run_seconds + EXCLUDED.run_seconds,
        waits = tidemill.add_arrays(t.waits, EXCLUDED.waits),
        d_queued = t.d_queued + EXCLUDED.d_queued, d_scheduled = t.d_scheduled + EXCLUDED.d_scheduled,
        d_running = t.d_running + EXCLUDED.d_running, d_succeeded = t.d_succeeded + EXCLUDED.d_succeeded,
        d_failed = t.d_failed + EXCLUDED.d_failed, d_cancelled = t.d_cancelled + EXCLUDED.d_cancelled
)
SELECT count(*) FROM folded
