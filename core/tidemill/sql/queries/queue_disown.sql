-- Purpose: a TaskQueue is gone, or names another queue now: what it owned keeps its settings, but
--   nobody owns them, and the owner's pause ends.
-- Parameters: $1 owner's uid; $2 the queue that it still owns, or null.
-- Locks: its queues' rows.
UPDATE tidemill.queues
   SET owner_uid = NULL, owner_name = NULL, owner_policy = NULL, owner_fields = '{}',
       owner_paused = false, owner_seen_at = NULL, updated_at = statement_timestamp()
 WHERE owner_uid = $1::text AND name IS DISTINCT FROM $2::text
