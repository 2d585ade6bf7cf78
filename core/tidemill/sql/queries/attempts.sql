-- Purpose: what happened to a task: the ends of its attempts and the acts on it, in order.
-- Parameters: $1 task id, $2 when it was created.
-- Locks: none.
-- Plan: index attempts_task of the partitions from the day before creation on.
SELECT token, worker_id, attempt, started_at, finished_at, run_at, outcome, retry_count, error, result, actor
  FROM tidemill.attempts
 WHERE task_id = $1::uuid AND finished_at >= $2::timestamptz - interval '1 day'
 ORDER BY token
