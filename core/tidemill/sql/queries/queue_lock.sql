-- Purpose: hold a queue's settings while they are changed.
-- Parameters: $1 name.
-- Locks: the queue's row.
SELECT id FROM tidemill.queues WHERE name = $1::text FOR UPDATE
