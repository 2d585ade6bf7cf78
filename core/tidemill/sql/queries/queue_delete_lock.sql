-- Purpose: keep enqueues out of a queue that is about to be deleted: each holds this lock shared
--   before it looks for its queue.
-- Parameters: $1 name.
-- Locks: the advisory lock of the queue's name, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('tidemill.queue'), hashtext($1::text))
