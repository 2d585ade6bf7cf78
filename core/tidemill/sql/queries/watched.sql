-- Purpose: tasks that are watched, each as it is now, without what may be large.
-- Parameters: $1 task ids.
-- Returns a row for each task that exists.
-- Locks: none.
-- Plan: nested loops over primary and unique keys; a task's last attempt by index attempts_task.
SELECT v.*, (SELECT l.progress FROM tidemill.leases l WHERE l.task_id = asked.id) AS progress
  FROM unnest($1::uuid[]) AS asked (id)
 CROSS JOIN LATERAL (
     SELECT s.id, s.name, s.type, s.queue, s.status, s.priority, s.idempotency_key, s.retry_count,
            s.crash_count, s.max_retries, s.timeout_seconds, s.created_at, s.run_at, s.first_run_at,
            s.expires_at, s.started_at, s.completed_at, s.worker_id, s.cancel_requested_at, s.last_error
       FROM tidemill.task_status s WHERE s.id = asked.id) AS v
