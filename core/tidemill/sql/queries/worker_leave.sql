-- Purpose: a worker goes: it claims nothing more, whatever of its is still in flight.
-- Parameters: $1 worker.
-- Locks: its row.
UPDATE tidemill.workers SET left_at = statement_timestamp(), draining = true WHERE id = $1::bigint
