-- Purpose: a worker's heartbeat for itself, answered with the marks on it.
-- Parameters: $1 worker.
-- Locks: its row.
UPDATE tidemill.workers SET seen_at = statement_timestamp()
 WHERE id = $1::bigint AND left_at IS NULL
RETURNING epoch, draining, cordoned
