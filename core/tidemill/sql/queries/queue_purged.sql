-- Purpose: a queue is purged; unless it has an owner by now, it is one like any other.
-- Parameters: $1 queue.
-- Locks: its row.
UPDATE tidemill.queues SET owner_policy = NULL, owner_seen_at = NULL, updated_at = statement_timestamp()
 WHERE id = $1::integer AND owner_uid IS NULL AND owner_policy = 'Purge'
