-- Purpose: where tasks are now.
-- Parameters: $1 task ids.
-- Returns a row for each task that exists: its queue and status.
-- Locks: none.
-- Plan: nested loops over primary and unique keys; a task's last attempt by index attempts_task.
SELECT v.id AS task_id, v.queue, v.status
  FROM unnest($1::uuid[]) AS asked (id)
 CROSS JOIN LATERAL (SELECT s.id, s.queue, s.status FROM tidemill.task_status s WHERE s.id = asked.id) AS v
