-- Purpose: a queue with all its settings; null = the system's default.
-- Parameters: $1 name, or null for all.
-- Locks: none.
SELECT q.id, q.name, q.paused, q.owner_paused, q.owner_name, q.owner_fields, q.priority, q.max_retries,
       q.timeout_seconds, q.retry, q.lease_seconds, q.max_depth, l.max_running, l.rate_tasks, l.rate_seconds,
       q.unknown_types, q.starvation_seconds, q.succeeded_seconds, q.failed_seconds, q.cancelled_seconds,
       q.created_at, q.updated_at
  FROM tidemill.queues q LEFT JOIN tidemill.queue_limits l ON l.queue_id = q.id
 WHERE $1::text IS NULL OR q.name = $1::text
 ORDER BY q.name
