-- Purpose: forget workers that left, or were last seen, 7 days ago and hold nothing. Recovery walks this
--   table, so a worker with leases stays. One that never said goodbye is marked gone first and goes
--   next time: a claim of a process that was only asleep cannot slip in between, for the mark stops it.
-- Returns one row a worker removed.
-- Locks: those rows.
-- Plan: the table is small.
WITH gone AS (
    UPDATE tidemill.workers SET left_at = seen_at, draining = true
     WHERE left_at IS NULL AND seen_at < statement_timestamp() - interval '7 days'
)
DELETE FROM tidemill.workers w
 WHERE w.left_at < statement_timestamp() - interval '7 days'
   AND NOT EXISTS (SELECT FROM tidemill.leases l WHERE l.worker_id = w.id)
