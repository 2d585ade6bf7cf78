-- Purpose: which queues are to be purged, of tasks from before which moment: their owner is gone, and said so.
-- Locks: none.
SELECT q.id, q.name, q.owner_seen_at AS ordered_at FROM tidemill.queues q
 WHERE q.owner_uid IS NULL AND q.owner_policy = 'Purge' ORDER BY q.name
