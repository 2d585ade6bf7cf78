-- Purpose: remove the limits and idempotency keys of a queue that was deleted.
-- Parameters: $1 queue.
-- Locks: those rows.
WITH limits AS (DELETE FROM tidemill.queue_limits WHERE queue_id = $1::integer)
DELETE FROM tidemill.idempotency_keys WHERE queue_id = $1::integer
