-- Purpose: registered task types.
-- Parameters: $1 name, or null for all.
-- Locks: none.
SELECT name, schema, description, queue, priority, max_retries, timeout_seconds, retry, paused, app
  FROM tidemill.task_types
 WHERE $1::text IS NULL OR name = $1::text
 ORDER BY name
