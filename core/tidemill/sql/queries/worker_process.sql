-- Purpose: the workers that one operating system process registered.
-- Parameters: $1 host name, $2 process id on it.
-- Locks: none.
-- Plan: the table is small.
SELECT id FROM tidemill.workers
 WHERE hostname = $1::text AND pid = $2::integer AND left_at IS NULL
