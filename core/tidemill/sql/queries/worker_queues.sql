-- Purpose: which queues a worker said that it claims from.
-- Parameters: $1 worker.
-- Locks: none.
-- Plan: primary key.
SELECT queues FROM tidemill.workers WHERE id = $1::bigint AND left_at IS NULL
