-- Purpose: the leases of a worker whose tasks somebody asked to cancel: what it looks for as soon as it
--   is notified, for its next heartbeat may be seconds away.
-- Parameters: $1 worker.
-- Locks: none.
-- Plan: the worker's range of index leases_worker.
SELECT l.task_id, l.lease_token
  FROM tidemill.leases l
 WHERE l.worker_id = $1::bigint AND l.cancel_requested_at IS NOT NULL
