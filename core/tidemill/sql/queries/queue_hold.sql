-- Purpose: keep a queue from being deleted while tasks are put into it.
-- Parameters: $1 name.
-- Locks: the advisory lock of the queue's name, shared, until the transaction ends.
SELECT pg_advisory_xact_lock_shared(hashtext('tidemill.queue'), hashtext($1::text))
