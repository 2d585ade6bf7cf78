-- Purpose: record the slots that became tasks, and move their schedules, and those that had none to
--   fire, to their next slots. In the transaction of the tasks' enqueue.
-- Parameters: $1 schedules, $2 slots and $3 tasks (null: none was fired), $4 next slots (null: none
--   comes); equal in length.
-- Locks: the schedules' rows, which the caller holds.
-- Plan: primary key, once a schedule.
WITH given AS MATERIALIZED (
    SELECT g.schedule, g.slot, g.task_id, g.next_slot
      FROM unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::timestamptz[])
        AS g (schedule, slot, task_id, next_slot)
), recorded AS (
    INSERT INTO tidemill.schedule_slots (schedule, slot, task_id, fired_at)
    SELECT g.schedule, g.slot, g.task_id, statement_timestamp() FROM given g WHERE g.task_id IS NOT NULL
)
UPDATE tidemill.schedules s
   SET next_slot = g.next_slot,
       last_slot = CASE WHEN g.task_id IS NULL THEN s.last_slot ELSE g.slot END,
       last_error = CASE WHEN g.task_id IS NULL THEN s.last_error END,
       last_error_at = CASE WHEN g.task_id IS NULL THEN s.last_error_at END
  FROM given g
 WHERE s.name = g.schedule
