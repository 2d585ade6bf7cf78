-- Purpose: shut out claims that are still in flight after an unknown result.
-- Parameters: $1 worker.
-- Locks: its row: a claim in flight holds a share of it, so this waits for that claim's end.
UPDATE tidemill.workers SET epoch = epoch + 1 WHERE id = $1::bigint RETURNING epoch
