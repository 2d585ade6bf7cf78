-- Purpose: workers that have not said goodbye, when they were last seen (seconds ago), and their leases.
-- Parameters: $1 most rows, the ones unseen for longest first.
-- Locks: none.
-- Plan: the table is small; leases by index leases_worker.
SELECT w.id, w.name, w.hostname, w.pid, w.draining, w.cordoned,
       extract(epoch FROM statement_timestamp() - w.seen_at)::double precision AS seconds,
       (SELECT count(*) FROM tidemill.leases l WHERE l.worker_id = w.id) AS leases
  FROM tidemill.workers w
 WHERE w.left_at IS NULL
 ORDER BY w.seen_at LIMIT $1::integer
