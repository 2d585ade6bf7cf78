-- Purpose: delete a queue that holds no task (see queue_holds), unless it has an owner by now.
-- Parameters: $1 queue.
-- Returns its id, or nothing.
-- Locks: the queue's row. queue_delete_lock was taken in an earlier statement.
DELETE FROM tidemill.queues WHERE id = $1::integer AND owner_uid IS NULL RETURNING id
