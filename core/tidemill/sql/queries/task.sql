-- Purpose: one task as it is now.
-- Parameters: $1 id.
-- Locks: none.
-- Plan: primary key of one partition; unique keys of ready, scheduled, leases, dead_letters; index
--   attempts_task from the day before creation on.
SELECT s.*, (SELECT l.progress FROM tidemill.leases l WHERE l.task_id = $1::uuid) AS progress
  FROM tidemill.task_status s WHERE s.id = $1::uuid
