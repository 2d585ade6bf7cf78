-- Purpose: give back leases that a worker holds without knowing of them (a claim whose answer was
--   lost), uncharged.
-- Parameters: $1 worker, $2 tokens that it does know of.
-- Returns the ids given back.
-- Locks: those leases.
-- Plan: index leases_worker.
WITH lost AS MATERIALIZED (
    SELECT l.* FROM tidemill.leases l
     WHERE l.worker_id = $1::bigint AND l.lease_token <> ALL ($2::bigint[])
     ORDER BY l.task_id FOR UPDATE
), freed AS (
    DELETE FROM tidemill.leases WHERE task_id = ANY (ARRAY(SELECT task_id FROM lost))
), recorded AS (
    INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, finished_at, outcome, retry_count, crash_count)
    SELECT task_id, lease_token, queue_id, worker_id, retry_count + 1, statement_timestamp(), 'released', retry_count, crash_count
      FROM lost
), returned AS (
    INSERT INTO tidemill.ready (seq, task_id, queue_id, priority, lane, retry_count, crash_count, ready_at, group_key)
    SELECT seq, task_id, queue_id, priority, 0, retry_count, crash_count, statement_timestamp(), group_key FROM lost
), noted AS (
    INSERT INTO tidemill.throughput_deltas (queue_id, released, d_queued, d_running)
    SELECT queue_id, count(*), count(*), -count(*) FROM lost GROUP BY queue_id
)
SELECT task_id FROM lost
