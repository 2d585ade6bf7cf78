-- Purpose: the latest slots of a schedule that fired.
-- Parameters: $1 schedule, $2 most rows.
-- Locks: none.
-- Plan: primary key, backwards.
SELECT slot, task_id, fired_at FROM tidemill.schedule_slots
 WHERE schedule = $1::text ORDER BY slot DESC LIMIT $2::integer
