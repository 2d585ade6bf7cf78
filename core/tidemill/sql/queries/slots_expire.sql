-- Purpose: forget slots that fired over 7 days ago; no schedule goes back to them.
-- Parameters: $1 most rows.
-- Locks: those rows, skipping locked ones.
-- Plan: index schedule_slots_fired.
WITH gone AS MATERIALIZED (
    SELECT x.schedule, x.slot FROM tidemill.schedule_slots x
     WHERE x.fired_at < statement_timestamp() - interval '7 days'
     ORDER BY x.fired_at LIMIT $1::integer FOR UPDATE SKIP LOCKED
)
DELETE FROM tidemill.schedule_slots k USING gone g
 WHERE k.schedule = g.schedule AND k.slot = g.slot
