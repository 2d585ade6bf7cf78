-- Purpose: take schedules whose slot has come, or those of them that are named; and the time.
-- Parameters: $1 most rows, $2 names, or null for all.
-- Locks: those rows, skipping locked ones: who holds one is firing or changing it.
-- Plan: index schedules_next_slot.
SELECT name, cron, time_zone, type, payload, queue, priority, max_retries, timeout_seconds, retry, headers,
       missed, ends_at, paused, next_slot, last_slot, last_error, last_error_at, app, created_at, updated_at,
       statement_timestamp() AS now
  FROM tidemill.schedules
 WHERE NOT paused AND next_slot <= statement_timestamp() AND ($2::text[] IS NULL OR name = ANY ($2))
 ORDER BY next_slot LIMIT $1::integer FOR UPDATE SKIP LOCKED
