-- Purpose: what runs in a queue that has got limits counts against them, whoever claimed it and when.
-- Parameters: $1 queue.
-- Locks: the leases that do not count yet.
-- Plan: all leases, once a change of limits.
UPDATE tidemill.leases l SET limited_queue = l.queue_id
 WHERE l.queue_id = $1::integer AND l.limited_queue IS NULL
   AND EXISTS (SELECT FROM tidemill.queue_limits x WHERE x.queue_id = $1::integer)
