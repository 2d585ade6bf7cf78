-- Purpose: all schedules, or those that are named.
-- Parameters: $1 names, or null for all.
-- Locks: none.
-- Plan: primary key, or the whole of a small table.
SELECT name, cron, time_zone, type, payload, queue, priority, max_retries, timeout_seconds, retry, headers,
       missed, ends_at, paused, next_slot, last_slot, last_error, last_error_at, app, created_at, updated_at
  FROM tidemill.schedules
 WHERE $1::text[] IS NULL OR name = ANY ($1)
 ORDER BY name
