-- Purpose: set claimed tasks of a paused type aside, uncharged, for those whose lease is still held.
--   Resuming the type brings them back; should that miss one, it is tried again after an hour.
-- Parameters: $1 task ids, sorted; $2 tokens; $3 types.
-- Returns the leases that were set aside: a lease that was lost is not, nor is a task whose type
--   was resumed meanwhile.
-- Locks: the types FOR SHARE, so that a resume either is seen here or sees what was parked; then the
--   leases, in the order given.
-- Plan: nested loop over the primary key of leases.
WITH paused AS MATERIALIZED (
    SELECT k.name FROM tidemill.task_types k
     WHERE k.name = ANY ($3::text[]) AND k.paused ORDER BY k.name FOR SHARE
), held AS MATERIALIZED (
    SELECT l.*, asked.type
      FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS asked (task_id, lease_token, type)
     CROSS JOIN LATERAL (
        SELECT x.task_id, x.lease_token, x.worker_id, x.seq, x.queue_id, x.priority,
               x.retry_count, x.crash_count, x.group_key
          FROM tidemill.leases x
         WHERE x.task_id = asked.task_id AND x.lease_token = asked.lease_token
           AND x.cancel_requested_at IS NULL
           FOR UPDATE
     ) AS l
     WHERE asked.type IN (SELECT name FROM paused)
), freed AS (
    DELETE FROM tidemill.leases WHERE task_id = ANY (ARRAY(SELECT task_id FROM held))
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, finished_at, run_at,
                                   outcome, retry_count, crash_count, error)
    SELECT h.task_id, h.lease_token, h.queue_id, h.worker_id, h.retry_count + 1, statement_timestamp(),
           statement_timestamp() + interval '1 hour', 'snoozed', h.retry_count, h.crash_count,
           json_build_object('type', 'TypePaused', 'message', format('the task type %s is paused', h.type))
      FROM held h
), parked AS (
    INSERT INTO tidemill.scheduled (run_at, task_id, seq, queue_id, priority, retry_count, crash_count, group_key, parked)
    SELECT statement_timestamp() + interval '1 hour', h.task_id, h.seq, h.queue_id, h.priority,
           h.retry_count, h.crash_count, h.group_key, h.type
      FROM held h
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, snoozed, d_scheduled, d_running)
    SELECT h.queue_id, count(*), count(*), -count(*) FROM held h GROUP BY h.queue_id
)
SELECT task_id, lease_token FROM held
