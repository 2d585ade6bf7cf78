-- Purpose: which queues are to be purged: their owner is gone, and said so.
-- Locks: none.
SELECT q.id, q.name FROM tidemill.queues q
 WHERE q.owner_uid IS NULL AND q.owner_policy = 'Purge' ORDER BY q.name
