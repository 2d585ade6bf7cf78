-- Purpose: create the daily partitions that are missing up to $1 days ahead.
-- Returns how many were created.
-- Locks: SHARE UPDATE EXCLUSIVE on the parents, waiting 2 s at most.
SELECT tidemill.ensure_partitions($1::integer)
