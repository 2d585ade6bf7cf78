-- Purpose: a queue's id by its name.
-- Parameters: $1 name.
-- Locks: none.
SELECT id FROM tidemill.queues WHERE name = $1::text
