-- Purpose: drop a day of attempts that no kept task ended on, as tidemill.drop_attempts_day says.
-- Parameters: $1 the day.
-- Returns dropped, early, missing, held, kept or busy.
-- Locks: the parent ACCESS EXCLUSIVE, waiting 200 ms at most.
-- Plan: dead letters by index dead_letters_failed; the day's ends against the bodies that are left.
SELECT tidemill.drop_attempts_day($1::date)
