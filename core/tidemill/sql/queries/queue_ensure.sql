-- Purpose: make a queue with the system's defaults, unless it exists.
-- Parameters: $1 name.
-- Locks: a new row; waits for who is making the same queue.
INSERT INTO tidemill.queues (name) VALUES ($1::text) ON CONFLICT DO NOTHING
