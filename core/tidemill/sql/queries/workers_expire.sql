-- Purpose: forget workers that are gone: left, or unseen for a day, and hold nothing. Recovery
--   walks this table, so a worker with leases stays.
-- Locks: those rows.
DELETE FROM tidemill.workers w
 WHERE (w.left_at < statement_timestamp() - interval '7 days' OR w.seen_at < statement_timestamp() - interval '7 days')
   AND NOT EXISTS (SELECT FROM tidemill.leases l WHERE l.worker_id = w.id)
