-- Purpose: hold a queue's limits, so that what runs is counted by one claim at a time.
-- Parameters: $1 queue.
-- Locks: the limits' row, until the transaction ends; waits for another claim on this queue.
SELECT 1 FROM tidemill.queue_limits WHERE queue_id = $1::integer FOR UPDATE
