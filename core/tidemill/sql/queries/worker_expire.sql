-- Purpose: dead workers: their leases expire now, so that the next recovery takes them back.
-- Parameters: $1 workers.
-- Returns the leases touched.
-- Locks: those leases in order.
-- Plan: index leases_worker.
WITH theirs AS MATERIALIZED (
    SELECT l.task_id FROM tidemill.leases l
     WHERE l.worker_id = ANY ($1::bigint[]) ORDER BY l.task_id FOR UPDATE
)
UPDATE tidemill.leases SET locked_until = least(locked_until, statement_timestamp())
 WHERE task_id = ANY (ARRAY(SELECT task_id FROM theirs))
RETURNING task_id
