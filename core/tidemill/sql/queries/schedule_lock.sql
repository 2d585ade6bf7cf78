-- Purpose: a schedule, held until the end of the transaction: nobody fires or changes it meanwhile.
-- Parameters: $1 name.
-- Locks: its row.
-- Plan: primary key.
SELECT name, cron, time_zone, type, payload, queue, priority, max_retries, timeout_seconds, retry, headers,
       missed, ends_at, paused, next_slot, last_slot, last_error, last_error_at, app, created_at, updated_at
  FROM tidemill.schedules
 WHERE name = $1::text FOR UPDATE
