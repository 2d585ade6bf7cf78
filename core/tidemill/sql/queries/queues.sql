-- Purpose: all queues with what claimers and readers need of their settings.
-- Locks: none.
SELECT q.id, q.name, q.paused OR q.owner_paused AS paused, q.limited, q.lease_seconds, q.owner_uid, q.owner_name,
       q.owner_policy,
       l.max_running, l.rate_tasks, l.rate_seconds
  FROM tidemill.queues q LEFT JOIN tidemill.queue_limits l ON l.queue_id = q.id
 ORDER BY q.name
