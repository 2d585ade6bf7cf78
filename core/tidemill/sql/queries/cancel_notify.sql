-- Purpose: tell workers that a task of theirs was asked to cancel, or that they were marked to go;
--   without it their next heartbeat does.
-- Parameters: $1 workers.
-- Locks: none that outlives the statement.
SELECT pg_notify('tidemill_cancel', asked.worker_id::text) FROM unnest($1::bigint[]) AS asked (worker_id)
