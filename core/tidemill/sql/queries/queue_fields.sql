-- Purpose: which settings does the queue's owner give now? Asked before they change.
-- Parameters: $1 queue.
-- Locks: the queue's row.
SELECT owner_fields FROM tidemill.queues WHERE name = $1::text FOR UPDATE
