-- Purpose: mark workers as draining that have no task in hand, and whose pods have none: they claim
--   nothing more and show themselves unready. Runs after workers_lock in one transaction: a statement
--   that locked and looked at leases at once could miss a claim that it had waited for.
-- Parameters: $1 workers, $2 term of the operator (older than a mark's: refused), $3 also busy ones.
-- Locks: their rows, held already.
-- Plan: primary key, indexes workers_pod and leases_worker.
UPDATE tidemill.workers w SET draining = true, mark_term = $2::bigint
 WHERE w.id = ANY ($1::bigint[]) AND w.left_at IS NULL AND w.mark_term <= $2::bigint
   AND ($3::boolean OR NOT EXISTS (
       SELECT FROM tidemill.workers o JOIN tidemill.leases l ON l.worker_id = o.id
        WHERE o.id = w.id OR (o.pod_uid = w.pod_uid AND o.left_at IS NULL)))
RETURNING w.id
