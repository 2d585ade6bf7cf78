-- Purpose: leases that a worker holds without knowing of them (a claim whose answer was lost).
-- Parameters: $1 worker, $2 tokens that it does know of.
-- Locks: none.
-- Plan: index leases_worker.
SELECT l.task_id, l.lease_token FROM tidemill.leases l
 WHERE l.worker_id = $1::bigint AND l.lease_token <> ALL ($2::bigint[])
