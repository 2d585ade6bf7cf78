-- Purpose: record how attempts ended, for those whose lease is still held, and route their tasks:
--   done, back to ready, scheduled, or dead letter.
-- Parameters, one array a field: $1 task ids, sorted; $2 tokens; $3 outcomes (succeeded, retry,
--   failed, cancelled, snoozed, released); $4 run time in seconds, 0 = never started; $5 delay in
--   seconds for retry and snoozed; $6 errors; $7 results. A task that was asked to cancel runs no more:
--   its retry, snooze or release is recorded as cancelled.
-- Returns the leases that were recorded; the others were lost and changed nothing.
-- Locks: the leases, in the order given; then idempotency keys in (queue, key) order, as enqueue does.
-- Plan: nested loop over the primary key of leases; bodies and keys only of tasks that end without success.
WITH held AS MATERIALIZED (
    SELECT l.*, asked.run_seconds, asked.delay, asked.error, asked.result,
           CASE WHEN l.cancel_requested_at IS NOT NULL AND asked.outcome IN ('retry', 'snoozed', 'released')
                THEN 'cancelled' ELSE asked.outcome END AS outcome
      FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::double precision[],
                  $5::double precision[], $6::json[], $7::json[])
        AS asked (task_id, lease_token, outcome, run_seconds, delay, error, result)
     CROSS JOIN LATERAL (
        SELECT x.task_id, x.lease_token, x.worker_id, x.claimed_at, x.cancel_requested_at, x.seq,
               x.queue_id, x.priority, x.retry_count, x.crash_count, x.group_key
          FROM tidemill.leases x
         WHERE x.task_id = asked.task_id AND x.lease_token = asked.lease_token
           FOR UPDATE
     ) AS l
), ended AS NOT MATERIALIZED (
    SELECT h.*, h.retry_count + (h.outcome = 'retry')::integer AS retries,
           CASE WHEN h.outcome IN ('retry', 'snoozed')
                THEN statement_timestamp() + make_interval(secs => coalesce(h.delay, 0)) END AS run_at
      FROM held h
), freed AS (
    DELETE FROM tidemill.leases WHERE task_id = ANY (ARRAY(SELECT task_id FROM held))
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, started_at,
                                   finished_at, run_at, outcome, retry_count, crash_count, error, result)
    SELECT e.task_id, e.lease_token, e.queue_id, e.worker_id, e.retry_count + 1,
           CASE WHEN e.run_seconds > 0 THEN
               greatest(e.claimed_at, statement_timestamp() - make_interval(secs => e.run_seconds)) END,
           statement_timestamp(), e.run_at, e.outcome, e.retries, e.crash_count, e.error, e.result
      FROM ended e
), later AS (
    INSERT INTO tidemill.scheduled (run_at, task_id, seq, queue_id, priority, retry_count, crash_count, group_key)
    SELECT e.run_at, e.task_id, e.seq, e.queue_id, e.priority, e.retries, e.crash_count, e.group_key
      FROM ended e WHERE e.outcome IN ('retry', 'snoozed')
), returned AS (
    INSERT INTO tidemill.ready (seq, task_id, queue_id, priority, lane, retry_count, crash_count, ready_at, group_key)
    SELECT e.seq, e.task_id, e.queue_id, e.priority, 0, e.retry_count, e.crash_count, statement_timestamp(), e.group_key
      FROM ended e WHERE e.outcome = 'released'
), without_success AS MATERIALIZED (
    SELECT e.*, t.type, t.idempotency_key
      FROM ended e
      LEFT JOIN LATERAL (SELECT b.type, b.idempotency_key FROM tidemill.tasks b WHERE b.id = e.task_id LIMIT 1) AS t ON true
     WHERE e.outcome IN ('failed', 'cancelled')
), dead AS (
    INSERT INTO tidemill.dead_letters (task_id, queue_id, type, failed_at, retry_count, crash_count, error_type)
    SELECT w.task_id, w.queue_id, coalesce(w.type, ''), statement_timestamp(), w.retry_count, w.crash_count, w.error ->> 'type'
      FROM without_success w WHERE w.outcome = 'failed'
), free_keys AS MATERIALIZED (
    SELECT k.queue_id, k.key
      FROM without_success w
      JOIN tidemill.idempotency_keys k
        ON k.queue_id = w.queue_id AND k.key = w.idempotency_key AND k.task_id = w.task_id
     ORDER BY k.queue_id, k.key
       FOR UPDATE OF k
), freed_keys AS (
    DELETE FROM tidemill.idempotency_keys k USING free_keys f
     WHERE k.queue_id = f.queue_id AND k.key = f.key
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, succeeded, failed_attempts, retries, first_retries, dead,
        cancelled, snoozed, released, run_seconds, d_queued, d_scheduled, d_running, d_succeeded, d_failed, d_cancelled)
    SELECT e.queue_id,
           count(*) FILTER (WHERE e.outcome = 'succeeded'),
           count(*) FILTER (WHERE e.outcome IN ('retry', 'failed')),
           count(*) FILTER (WHERE e.outcome = 'retry'),
           count(*) FILTER (WHERE e.outcome = 'retry' AND e.retry_count = 0),
           count(*) FILTER (WHERE e.outcome = 'failed'),
           count(*) FILTER (WHERE e.outcome = 'cancelled'),
           count(*) FILTER (WHERE e.outcome = 'snoozed'),
           count(*) FILTER (WHERE e.outcome = 'released'),
           coalesce(sum(e.run_seconds) FILTER (WHERE e.outcome IN ('succeeded', 'retry', 'failed')), 0),
           count(*) FILTER (WHERE e.outcome = 'released'),
           count(*) FILTER (WHERE e.outcome IN ('retry', 'snoozed')),
           -count(*),
           count(*) FILTER (WHERE e.outcome = 'succeeded'),
           count(*) FILTER (WHERE e.outcome = 'failed'),
           count(*) FILTER (WHERE e.outcome = 'cancelled')
      FROM ended e GROUP BY e.queue_id
)
SELECT task_id, lease_token FROM held
