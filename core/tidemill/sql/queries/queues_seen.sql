-- Purpose: these owners are still there. One that is not seen for 60 s may lose its queue.
-- Parameters: $1 owners' uids.
-- Returns those that own a queue.
-- Locks: their queues' rows.
UPDATE tidemill.queues SET owner_seen_at = statement_timestamp()
 WHERE owner_uid = ANY ($1::text[])
RETURNING owner_uid
