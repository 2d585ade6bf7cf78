-- Purpose: the time. A statement of its own, for after the wait for a lock.
-- Locks: none.
-- Plan: no table.
SELECT statement_timestamp()
