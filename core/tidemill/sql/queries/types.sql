-- Purpose: all registered task types.
-- Locks: none.
SELECT name, schema, description, queue, priority, max_retries, timeout_seconds, retry, paused, app
  FROM tidemill.task_types ORDER BY name
