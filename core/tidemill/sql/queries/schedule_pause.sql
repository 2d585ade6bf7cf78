-- Purpose: pause or resume a schedule.
-- Parameters: $1 name, $2 paused, $3 next slot.
-- Locks: its row.
-- Plan: primary key.
UPDATE tidemill.schedules
   SET paused = $2::boolean, next_slot = $3::timestamptz, updated_at = statement_timestamp()
 WHERE name = $1::text
RETURNING name, cron, time_zone, type, payload, queue, priority, max_retries, timeout_seconds, retry, headers,
       missed, ends_at, paused, next_slot, last_slot, last_error, last_error_at, app, created_at, updated_at
