-- Purpose: one task as it is now.
-- Parameters: $1 id.
-- Locks: none.
-- Plan: primary key of one partition; unique keys of ready, scheduled, leases, dead_letters; index
--   attempts_task from the day before creation on.
SELECT * FROM tidemill.task_status WHERE id = $1::uuid
