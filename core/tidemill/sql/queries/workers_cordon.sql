-- Purpose: mark workers as cordoned: they claim nothing more but go on with what they have in hand.
-- Parameters: $1 workers, $2 term of the operator (older than a mark's: refused).
-- Locks: their rows, held already (workers_lock).
UPDATE tidemill.workers SET cordoned = true, mark_term = $2::bigint
 WHERE id = ANY ($1::bigint[]) AND left_at IS NULL AND mark_term <= $2::bigint
RETURNING id
