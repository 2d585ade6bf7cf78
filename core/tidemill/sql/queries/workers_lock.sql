-- Purpose: hold workers' rows, so that no claim of theirs is half done while they are marked.
-- Parameters: $1 workers.
-- Returns them with the terms of their marks: a later one than ours is another operator's.
-- Locks: their rows FOR UPDATE, in order; a claim holds its worker's row FOR SHARE, so this waits for it.
SELECT id, mark_term FROM tidemill.workers WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
