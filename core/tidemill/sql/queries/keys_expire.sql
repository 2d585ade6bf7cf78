-- Purpose: remove idempotency keys past their time.
-- Parameters: $1 most rows.
-- Locks: those rows, skipping locked ones.
-- Plan: index idempotency_keys_expiry.
WITH gone AS MATERIALIZED (
    SELECT x.queue_id, x.key FROM tidemill.idempotency_keys x
     WHERE x.expires_at <= statement_timestamp()
     ORDER BY x.expires_at LIMIT $1::integer FOR UPDATE SKIP LOCKED
)
DELETE FROM tidemill.idempotency_keys k USING gone g
 WHERE k.queue_id = g.queue_id AND k.key = g.key
