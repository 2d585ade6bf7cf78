-- Purpose: a term for an operator that begins to act: above every one that was drawn, seen or written on a mark.
-- Parameters: $1 highest term that the caller has seen elsewhere.
-- Locks: the one row, so that two that draw at once get different terms.
-- Plan: one row; the workers that have not been forgotten, a small table.
UPDATE tidemill.operator_terms
   SET term = greatest(term, $1::bigint, (SELECT max(mark_term) FROM tidemill.workers)) + 1
RETURNING term
