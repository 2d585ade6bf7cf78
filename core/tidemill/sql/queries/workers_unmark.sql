-- Purpose: take the marks of workers back: they claim again.
-- Parameters: $1 workers, $2 term of the operator (older than a mark's: refused).
-- Locks: their rows, held already (workers_lock).
UPDATE tidemill.workers SET draining = false, cordoned = false, mark_term = $2::bigint
 WHERE id = ANY ($1::bigint[]) AND left_at IS NULL AND mark_term <= $2::bigint
RETURNING id
