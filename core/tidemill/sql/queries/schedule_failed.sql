-- Purpose: say why a schedule's slot fired no task, and go on at the next one.
-- Parameters: $1 name, $2 error, $3 next slot (null: none comes).
-- Locks: its row, which the caller holds.
-- Plan: primary key.
UPDATE tidemill.schedules
   SET last_error = $2::text, last_error_at = statement_timestamp(), next_slot = $3::timestamptz
 WHERE name = $1::text
