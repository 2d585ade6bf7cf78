-- Purpose: remove scaling decisions older than 7 days.
-- Locks: those rows.
DELETE FROM tidemill.scaling_decisions WHERE decided_at < statement_timestamp() - interval '7 days'
