-- Purpose: drop a day of tasks that are all past their keep time, as tidemill.drop_day says.
-- Parameters: $1 the day, $2 and $3 default keep times of succeeded and cancelled in seconds.
-- Returns dropped, early, missing, held or busy.
-- Locks: none while it counts; then the day EXCLUSIVE and the parent ACCESS EXCLUSIVE, waiting 200 ms at most for each.
-- Plan: a hash join of the day with its ends.
SELECT tidemill.drop_day($1::date, $2::double precision, $3::double precision)
