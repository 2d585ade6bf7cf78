-- Purpose: name the schedules whose slot has come, without taking them.
-- Parameters: $1 most rows.
-- Locks: none.
-- Plan: index schedules_next_slot.
SELECT name FROM tidemill.schedules
 WHERE NOT paused AND next_slot <= statement_timestamp()
 ORDER BY next_slot LIMIT $1::integer
