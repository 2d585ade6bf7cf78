-- Purpose: take back leases that have expired: the task goes to the place it had, or to the dead
--   letters when its retries or its worker crashes are used up; a task asked to cancel is cancelled.
-- Parameters: $1 most tasks, $2 crashes that make a dead letter; $3 expired from when on, or null (a
--   floor that skips the dead index entries of leases that ended).
-- Returns one row a task: its queue and what became of it; and one without a task: the time.
-- Locks: the expired leases, skipping locked ones (a completion that came first wins); then
--   idempotency keys in (queue, key) order, as enqueue does.
-- Plan: for each worker a range of index leases_worker; bodies by primary key.
WITH expired AS MATERIALIZED (
    SELECT l.*
      FROM tidemill.workers w
     CROSS JOIN LATERAL (
        SELECT x.task_id, x.lease_token, x.worker_id, x.claimed_at, x.cancel_requested_at, x.seq,
               x.queue_id, x.priority, x.retry_count, x.crash_count, x.group_key
          FROM tidemill.leases x
         WHERE x.worker_id = w.id AND x.locked_until < statement_timestamp()
           AND x.locked_until >= coalesce($3::timestamptz, '-infinity')
         ORDER BY x.locked_until LIMIT $1::integer
           FOR UPDATE SKIP LOCKED
     ) AS l
     LIMIT $1::integer
), judged AS MATERIALIZED (
    SELECT e.*, t.type, t.idempotency_key,
           CASE WHEN e.cancel_requested_at IS NOT NULL THEN 'cancelled'
                WHEN t.max_retries IS NULL -- no body: nothing left to run
                  OR e.retry_count >= t.max_retries
                  OR e.crash_count + 1 >= $2::integer THEN 'failed'
                ELSE 'lease_expired' END AS outcome,
           json_build_object(
               'type', 'LeaseExpired',
               'message', CASE WHEN t.max_retries IS NULL THEN 'the lease expired, and the task''s body is gone'
                   WHEN e.crash_count + 1 >= $2::integer AND e.retry_count < t.max_retries
                   THEN format('the lease expired: its worker died or hung %s times on this task', e.crash_count + 1)
                   ELSE 'the lease expired: its worker died or hung' END) AS error
      FROM expired e
      LEFT JOIN LATERAL (
        SELECT b.type, b.max_retries, b.idempotency_key FROM tidemill.tasks b WHERE b.id = e.task_id LIMIT 1
      ) AS t ON true
), freed AS (
    DELETE FROM tidemill.leases WHERE task_id = ANY (ARRAY(SELECT task_id FROM expired))
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, started_at,
                                   finished_at, outcome, retry_count, crash_count, error)
    SELECT j.task_id, j.lease_token, j.queue_id, j.worker_id, j.retry_count + 1, j.claimed_at,
           statement_timestamp(), j.outcome,
           j.retry_count + (j.outcome = 'lease_expired')::integer, j.crash_count + 1, j.error
      FROM judged j
), returned AS (
    INSERT INTO tidemill.ready (seq, task_id, queue_id, priority, lane, retry_count, crash_count, ready_at, group_key)
    SELECT j.seq, j.task_id, j.queue_id, j.priority, 0, j.retry_count + 1, j.crash_count + 1, statement_timestamp(), j.group_key
      FROM judged j WHERE j.outcome = 'lease_expired'
), dead AS (
    INSERT INTO tidemill.dead_letters (task_id, queue_id, type, failed_at, retry_count, crash_count, error_type)
    SELECT j.task_id, j.queue_id, coalesce(j.type, ''), statement_timestamp(), j.retry_count, j.crash_count + 1, 'LeaseExpired'
      FROM judged j WHERE j.outcome = 'failed'
), free_keys AS MATERIALIZED (
    SELECT k.queue_id, k.key
      FROM judged j
      JOIN tidemill.idempotency_keys k
        ON k.queue_id = j.queue_id AND k.key = j.idempotency_key AND k.task_id = j.task_id
     WHERE j.outcome IN ('failed', 'cancelled')
     ORDER BY k.queue_id, k.key
       FOR UPDATE OF k
), freed_keys AS (
    DELETE FROM tidemill.idempotency_keys k USING free_keys f
     WHERE k.queue_id = f.queue_id AND k.key = f.key
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, failed_attempts, retries, first_retries, dead, cancelled,
        recovered, d_queued, d_running, d_failed, d_cancelled)
    SELECT j.queue_id,
           count(*) FILTER (WHERE j.outcome <> 'cancelled'),
           count(*) FILTER (WHERE j.outcome = 'lease_expired'),
           count(*) FILTER (WHERE j.outcome = 'lease_expired' AND j.retry_count = 0),
           count(*) FILTER (WHERE j.outcome = 'failed'),
           count(*) FILTER (WHERE j.outcome = 'cancelled'),
           count(*),
           count(*) FILTER (WHERE j.outcome = 'lease_expired'),
           -count(*),
           count(*) FILTER (WHERE j.outcome = 'failed'),
           count(*) FILTER (WHERE j.outcome = 'cancelled')
      FROM judged j GROUP BY j.queue_id
)
SELECT j.task_id, q.name AS queue, j.outcome, j.worker_id, NULL AS at
  FROM judged j JOIN tidemill.queues q ON q.id = j.queue_id
UNION ALL
SELECT NULL, NULL, NULL, NULL, statement_timestamp()
