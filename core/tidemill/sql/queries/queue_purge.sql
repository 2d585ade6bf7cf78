-- Purpose: let a queue be purged whose owner is gone and said Purge: nobody owns it from now on, and
--   its policy alone says that its tasks are to go (queues_purging): those from before this moment,
--   kept where its owner was last seen. A new owner ends that.
-- Parameters: $1 owner's uid.
-- Returns the queue's name; nothing while its owner was seen within the last 60 s, or says Retain.
-- Locks: its row.
UPDATE tidemill.queues
   SET owner_uid = NULL, owner_name = NULL, owner_fields = '{}', owner_paused = false,
       owner_seen_at = statement_timestamp(), updated_at = statement_timestamp()
 WHERE owner_uid = $1::text AND owner_policy = 'Purge'
   AND owner_seen_at < statement_timestamp() - interval '60 seconds'
RETURNING name
