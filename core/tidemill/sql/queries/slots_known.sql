-- Purpose: which of these slots have fired. Their schedules' rows are locked: nobody adds to them.
-- Parameters: $1 schedules and $2 slots, equal in length.
-- Locks: none.
-- Plan: primary key, once a slot.
SELECT k.schedule, k.slot
  FROM unnest($1::text[], $2::timestamptz[]) AS g (schedule, slot)
  JOIN tidemill.schedule_slots k ON k.schedule = g.schedule AND k.slot = g.slot
