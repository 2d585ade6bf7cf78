-- Purpose: enqueue a batch in the transaction of a caller who may only call this function.
-- Parameters: $1 the tasks, a JSON array as text (as text, for a driver's own codec of jsonb is not ours).
-- Locks: as tidemill.enqueue_rows.
-- Plan: inserts from one function call.
SELECT id::text, status, created, queue FROM tidemill.enqueue_many($1::text::jsonb)
