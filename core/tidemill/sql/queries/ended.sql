-- Purpose: which of the tasks that are waited for have ended, each as it is now.
-- Parameters: $1 task ids.
-- Returns a row for each task that has ended, and one with nothing but `asked` for each that does not
--   exist (any more).
-- Locks: none.
-- Plan: nested loops over primary and unique keys; a task's last attempt by index attempts_task.
SELECT asked.id AS asked, v.*, NULL::json AS progress -- an ended task has none
  FROM unnest($1::uuid[]) AS asked (id)
  LEFT JOIN LATERAL (SELECT s.* FROM tidemill.task_status s WHERE s.id = asked.id) AS v ON true
 WHERE v.id IS NULL OR v.status IN ('succeeded', 'failed', 'cancelled')
