-- Purpose: hold workers' rows, so that no claim of theirs is half done while they are marked.
-- Parameters: $1 workers.
-- Locks: their rows FOR UPDATE, in order; a claim holds its worker's row FOR SHARE, so this waits for it.
SELECT id FROM tidemill.workers WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
