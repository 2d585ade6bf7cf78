-- Purpose: write the settings that a TaskQueue names to its queue's row, making the row if needed,
--   and the TaskQueue its owner. A setting that it named before and names no more is cleared; one
--   that it never named is left alone.
-- Parameters: $1 queue; $2 owner's uid; $3 owner's name; $4 Retain|Purge; $5 names of the settings
--   given; $6 paused by the owner; $7 max_retries; $8 timeout in seconds; $9 retry policy; $10 lease
--   in seconds; keep times in seconds of $11 succeeded, $12 failed, $13 cancelled tasks.
-- Returns the queue's id, or nothing when another uid owns it.
-- Locks: the queue's row.
INSERT INTO tidemill.queues AS q (name, owner_uid, owner_name, owner_policy, owner_fields, owner_paused,
    max_retries, timeout_seconds, retry, lease_seconds, succeeded_seconds, failed_seconds,
    cancelled_seconds, owner_seen_at)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text[], $6::boolean, $7::integer,
        $8::double precision, $9::json, $10::double precision, $11::double precision,
        $12::double precision, $13::double precision, statement_timestamp())
ON CONFLICT (name) DO UPDATE SET
    owner_uid = EXCLUDED.owner_uid, owner_name = EXCLUDED.owner_name,
    owner_policy = EXCLUDED.owner_policy, owner_fields = EXCLUDED.owner_fields,
    owner_paused = EXCLUDED.owner_paused, owner_seen_at = EXCLUDED.owner_seen_at,
    max_retries = CASE WHEN 'max_retries' = ANY ($5 || q.owner_fields) THEN EXCLUDED.max_retries ELSE q.max_retries END,
    timeout_seconds = CASE WHEN 'timeout_seconds' = ANY ($5 || q.owner_fields) THEN EXCLUDED.timeout_seconds ELSE q.timeout_seconds END,
    retry = CASE WHEN 'retry' = ANY ($5 || q.owner_fields) THEN EXCLUDED.retry ELSE q.retry END,
    lease_seconds = CASE WHEN 'lease_seconds' = ANY ($5 || q.owner_fields) THEN EXCLUDED.lease_seconds ELSE q.lease_seconds END,
    succeeded_seconds = CASE WHEN 'succeeded_seconds' = ANY ($5 || q.owner_fields) THEN EXCLUDED.succeeded_seconds ELSE q.succeeded_seconds END,
    failed_seconds = CASE WHEN 'failed_seconds' = ANY ($5 || q.owner_fields) THEN EXCLUDED.failed_seconds ELSE q.failed_seconds END,
    cancelled_seconds = CASE WHEN 'cancelled_seconds' = ANY ($5 || q.owner_fields) THEN EXCLUDED.cancelled_seconds ELSE q.cancelled_seconds END,
    updated_at = statement_timestamp()
 WHERE q.owner_uid IS NULL OR q.owner_uid = EXCLUDED.owner_uid
    OR q.owner_seen_at < statement_timestamp() - interval '60 seconds'
RETURNING q.id
